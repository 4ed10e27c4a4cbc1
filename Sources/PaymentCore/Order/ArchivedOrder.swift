/// What is still stored of an order that was moved into an archive: enough that its reference stays its own, and that its
/// shop is told what became of it.
package struct ArchivedOrder: Hashable, Sendable {
  package let id: OrderID
  package let merchant: MerchantID
  /// `paid` or `closed`.
  package let status: Order.Status
  /// The payment that it keeps.
  package let kept: Kept?
  package let archivedAt: Instant
  /// The number of the archive within its store.
  package let archive: Int

  package struct Kept: Hashable, Sendable {
    package let payment: PaymentID
    package let provider: ProviderName
    package let received: Money

    package init(payment: PaymentID, provider: ProviderName, received: Money) {
      self.payment = payment
      self.provider = provider
      self.received = received
    }
  }

  package init(
    id: OrderID, merchant: MerchantID, status: Order.Status, kept: Kept?, archivedAt: Instant, archive: Int
  ) {
    self.id = id
    self.merchant = merchant
    self.status = status
    self.kept = kept
    self.archivedAt = archivedAt
    self.archive = archive
  }

  /// Whether this is only what its provider has said before it was moved.
  func knows(_ evidence: PaymentEvidence) -> Bool {
    guard let kept, case .succeeded(kept.received) = evidence.verdict else { return false }
    return evidence.payment.ordinal == kept.payment.ordinal && evidence.provider == kept.provider
      && evidence.returns.isEmpty
  }

  /// The answer to whoever wants something of it.
  package var refusal: Refusal {
    Refusal(
      .orderArchived,
      "The order is \(status.rawValue), and was moved into archive \(archive). Nothing can be done with it until whoever "
        + "runs PayOnce brings it back with `payonce archive restore`.", archived: self)
  }
}
