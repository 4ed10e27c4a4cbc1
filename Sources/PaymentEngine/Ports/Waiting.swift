package import PaymentCore

/// Something that does not go on, or not by itself, and that somebody may have to look at.
package struct Waiting: Hashable, Sendable {
  package enum Kind: String, CaseIterable, Hashable, Sendable {
    /// Nobody knows whether the provider acted.
    case unknownPayment = "unknown_payment"
    case unknownRefund = "unknown_refund"
    /// What a machine must not decide alone.
    case openCase = "case"
    /// An order whose payment's close is not confirmed.
    case closingOrder = "closing_order"
  }
  package let kind: Kind
  package let order: OrderID
  /// Of the payment, the refund, the case or the order.
  package let id: String
  /// The merchant's name and the shop's own number; `nil` where the order is not stored here.
  package let merchant: String?
  package let reference: String?
  package let provider: ProviderName?
  /// The case, where it is one that can be read.
  package let item: Case?
  package let since: Instant

  package init(
    kind: Kind, order: OrderID, id: String, merchant: String?, reference: String?, provider: ProviderName?,
    item: Case? = nil, since: Instant
  ) {
    self.kind = kind
    self.order = order
    self.id = id
    self.merchant = merchant
    self.reference = reference
    self.provider = provider
    self.item = item
    self.since = since
  }
}
