/// Something that a machine must not decide alone. It waits on the console with its reason, amount and choices.
package struct Case: Hashable, Sendable {
  package let id: CaseID
  package let reason: Reason
  package let payment: PaymentID?
  package let refund: RefundID?
  package let provider: ProviderName
  package let amount: Money
  /// What the provider said, for the person who decides.
  package let note: String
  package let openedAt: Instant
  package internal(set) var resolvedAt: Instant?
  /// What was chosen; `nil` while open, and when later evidence settled it without a choice.
  package internal(set) var choice: Choice?
  /// The operator who chose, by the name of their login, and why, in their words.
  package internal(set) var resolvedBy: String?
  package internal(set) var resolvedNote: String?

  package enum Reason: String, CaseIterable, Hashable, Sendable {
    /// Verified money for a payment that this database does not know: it was restored from an older copy.
    case unknownPayment = "unknown_payment"
    /// The provider took, or returned, another amount or currency than it was asked to.
    case wrongAmount = "wrong_amount"
    /// The provider refuses for good to return money that the order does not keep.
    case refundRefused = "refund_refused"
    /// A refund of money that the order does not keep failed.
    case refundFailed = "refund_failed"
    /// The provider took more back than PayOnce asked it to, for a dispute or by hand.
    case disputed
    /// The provider says something new about money of an order that was moved into an archive.
    case archivedOrder = "archived_order"
    /// Nobody could learn for long what became of it: its provider refuses to say, does not answer, or is turned off here.
    case unresolved
  }

  package enum Choice: String, CaseIterable, Hashable, Sendable {
    /// Ask again under the same refund id.
    case retry
    /// Refund under a new id, once the provider has been asked about the old one.
    case newRefund = "new_refund"
    /// The money was returned by other means.
    case settledOutside = "settled_outside"
    /// Seen; nothing is to be done here.
    case acknowledge
  }

  package init(
    id: CaseID, reason: Reason, payment: PaymentID?, refund: RefundID?, provider: ProviderName, amount: Money,
    note: String, openedAt: Instant
  ) {
    self.id = id
    self.reason = reason
    self.payment = payment
    self.refund = refund
    self.provider = provider
    self.amount = amount
    self.note = note
    self.openedAt = openedAt
  }

  /// The trade number of its payment.
  /// - Parameter order: that has the case; `nil` for a stray, whose order is named by its number, unless that is in an
  ///   archive.
  package func number(in order: Order?) -> PaymentNumber? {
    guard let payment else { return nil }
    if let order { return order.number(of: payment) }
    guard reason == .unknownPayment else { return nil }
    return PaymentNumber(order: OrderNumber(bits: payment.order.bits), ordinal: payment.ordinal)
  }

  /// Whether a choice can be made now.
  enum Check {
    case open
    /// It was made before.
    case wasChosen
    case refused(Refusal)
  }

  func check(_ choice: Choice) -> Check {
    if resolvedAt != nil, self.choice == choice { return .wasChosen }
    guard resolvedAt == nil, choices.contains(choice) else {
      let names = resolvedAt == nil ? choices.map(\.rawValue).joined(separator: ", ") : "none, it is resolved"
      return .refused(Refusal(.invalidRequest, "This case has the choices: \(names)."))
    }
    return .open
  }

  /// - Parameter choice: `nil` when later evidence settled it.
  mutating func resolve(_ choice: Choice?, _ note: String?, by caller: Caller, now: Instant) {
    resolvedAt = now
    self.choice = choice
    if case .operator(let name) = caller { resolvedBy = name }
    resolvedNote = note
  }

  package var choices: [Choice] {
    switch reason {
    case .unknownPayment, .archivedOrder: [.settledOutside, .acknowledge]
    case .wrongAmount, .disputed, .unresolved: [.acknowledge]
    case .refundRefused: [.retry, .newRefund, .settledOutside]
    case .refundFailed: [.newRefund, .settledOutside]
    }
  }
}
