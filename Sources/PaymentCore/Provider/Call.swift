/// One call to a provider: all that an adapter needs to make it.
package struct Call: Hashable, Sendable {
  package enum Kind: String, CaseIterable, Hashable, Sendable {
    case charge, query, close, refund
    case queryRefund = "query_refund"

    /// Whether the call can itself make money move, now or by the buyer's next step.
    package var movesMoney: Bool { self == .charge || self == .refund }

    fileprivate var asks: Bool { self == .query || self == .queryRefund }
  }

  /// Which calls come first where a provider has not room for all.
  package enum Priority: CaseIterable, Hashable, Sendable {
    /// It moves money or stops it, or has to be answered before that.
    case acting
    /// It asks how things stand.
    case asking
  }

  package let kind: Kind
  /// Which of the payment's or refund's calls this is; comes back with the evidence.
  package let number: Int
  package let payment: PaymentID
  /// What the provider is told as the payment's number.
  package let tradeNumber: PaymentNumber
  package let provider: ProviderName
  package let method: String
  /// What the payment is to take.
  package let amount: Money
  /// When the payment is closed if nobody has paid it by then.
  package let expiresAt: Instant
  /// What the buyer pays for.
  package let description: String?
  /// The refund that is made or asked for.
  package let refund: RefundPart?
  package let priority: Priority

  package struct RefundPart: Hashable, Sendable {
    package let id: RefundID
    package let number: RefundNumber
    package let amount: Money
  }

  /// What is moved or asked about.
  package enum Subject: Hashable, Sendable {
    case payment(PaymentID)
    case refund(RefundID)

    package var text: String {
      switch self {
      case .payment(let id): id.text
      case .refund(let id): id.text
      }
    }
  }

  /// - Parameter isAwaited: whether a charge or a close waits for its answer.
  package init(
    _ kind: Kind, of payment: Payment, _ tradeNumber: PaymentNumber, refund: Refund? = nil, description: String?,
    isAwaited: Bool = false
  ) {
    self.kind = kind
    priority = kind.asks && !isAwaited ? .asking : .acting
    number = (refund?.calls.made ?? payment.calls.made) + 1
    self.payment = payment.id
    self.tradeNumber = tradeNumber
    provider = payment.provider
    method = payment.method
    amount = payment.amount
    expiresAt = payment.expiresAt
    self.description = description
    self.refund = refund.flatMap { refund in
      refund.number.map { RefundPart(id: refund.id, number: $0, amount: refund.amount) }
    }
  }

  /// The refund, else the payment.
  package var subject: Subject { refund.map { .refund($0.id) } ?? .payment(payment) }
}
