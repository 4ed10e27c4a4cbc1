/// What is still stored of an order that was moved into an archive: enough that its reference stays its own, and that its
/// shop is told what became of it.
package struct ArchivedOrder: Hashable, Sendable {
  package let id: OrderID
  package let merchant: MerchantID
  /// `paid` or `closed`.
  package let status: Order.Status
  /// The payment that it keeps.
  package let keptPayment: PaymentID?
  package let archivedAt: Instant
  /// The number of the archive within its store.
  package let archive: Int

  package init(
    id: OrderID, merchant: MerchantID, status: Order.Status, keptPayment: PaymentID?, archivedAt: Instant, archive: Int
  ) {
    self.id = id
    self.merchant = merchant
    self.status = status
    self.keptPayment = keptPayment
    self.archivedAt = archivedAt
    self.archive = archive
  }

  /// The answer to whoever wants something of it.
  package var refusal: Refusal {
    Refusal(
      .orderArchived,
      "The order is \(status.rawValue), and was moved into archive \(archive). Nothing can be done with it until whoever "
        + "runs PayOnce brings it back with `payonce archive restore`.", archived: self)
  }
}
