/// What a provider said about a payment: a reply, the answer to a query, a notice, a line of a statement.
package struct PaymentEvidence: Hashable, Sendable {
  package let payment: PaymentName
  package let provider: ProviderName
  /// The call that it answers; `nil` when the provider spoke by itself.
  package let call: Int?
  package let verdict: Verdict
  /// The provider's own name for its object.
  package let reference: String?
  /// When the provider took the money, if it did and says so.
  package let capturedAt: Instant?
  /// Refunds and disputes of this payment that the provider lists, as far as they are done.
  package let returns: [Return]
  /// Whether `returns` are all there are: so it is with the answer to a question, where the provider lists them at all.
  package let isWhole: Bool

  package enum Verdict: Hashable, Sendable {
    /// The money was taken: as much as the provider says.
    case succeeded(Money)
    /// It was not, and the provider's object can take none any more.
    case failed(Failure)
    /// The provider confirms that its object can take no money any more.
    case closed
    /// There is nothing at the provider to close, or not yet; money may come until the object's own expiry. A close that
    /// is refused since nobody knows the id says this, not `rejected`: else it would be tried for ever.
    case closedSoftly
    /// The provider has it and it is not decided; with what the buyer has to do, if anything.
    case pending(NextAction?)
    /// A try was declined, but the buyer still holds something to pay with.
    case declined(Failure, NextAction?)
    /// The provider knows nothing of it, or not yet.
    case notFound
    /// The request itself was refused (a 4xx).
    case rejected(Failure)
    /// This attempt did not leave the machine.
    case notSent
    /// The provider did nothing, and wants to be asked again, but not before so long.
    case notNow(Duration)
    /// Nobody can tell: no answer, a broken one, or one without a valid signature.
    case unknown(String)
  }

  package struct Return: Hashable, Sendable {
    /// The provider's own name for the refund or dispute, by which a repeat is known.
    package let reference: String
    /// Under which it was asked for, here or before this database forgot it; `nil` where somebody else made it.
    package let number: RefundNumber?
    package let amount: Money
    package let isDispute: Bool
    package init(reference: String, number: RefundNumber? = nil, amount: Money, isDispute: Bool) {
      self.reference = reference
      self.number = number
      self.amount = amount
      self.isDispute = isDispute
    }
  }

  package init(
    payment: PaymentID, provider: ProviderName, call: Int?, verdict: Verdict, reference: String? = nil,
    capturedAt: Instant? = nil, returns: [Return] = [], isWhole: Bool = false
  ) {
    self.init(
      .id(payment), provider: provider, call: call, verdict: verdict, reference: reference, capturedAt: capturedAt,
      returns: returns, isWhole: isWhole)
  }

  /// Of what the provider said by itself.
  package init(
    number: PaymentNumber, provider: ProviderName, verdict: Verdict, reference: String? = nil,
    capturedAt: Instant? = nil, returns: [Return] = []
  ) {
    self.init(
      .number(number), provider: provider, call: nil, verdict: verdict, reference: reference, capturedAt: capturedAt,
      returns: returns, isWhole: false)
  }

  private init(
    _ payment: PaymentName, provider: ProviderName, call: Int?, verdict: Verdict, reference: String?,
    capturedAt: Instant?, returns: [Return], isWhole: Bool
  ) {
    self.payment = payment
    self.provider = provider
    self.call = call
    self.verdict = verdict
    self.reference = reference
    self.capturedAt = capturedAt
    self.returns = returns
    self.isWhole = isWhole
  }
}

extension PaymentEvidence {
  /// The same with another verdict, and nothing else that was said.
  func saying(_ verdict: Verdict) -> PaymentEvidence {
    PaymentEvidence(
      payment, provider: provider, call: call, verdict: verdict, reference: nil, capturedAt: nil, returns: [],
      isWhole: false)
  }
}

extension PaymentEvidence {
  /// The same, and what else is known to have gone back.
  package func adding(_ more: [Return]) -> PaymentEvidence {
    let new = more.filter { item in !returns.contains { $0.reference == item.reference || $0.number == item.number } }
    return PaymentEvidence(
      payment, provider: provider, call: call, verdict: verdict, reference: reference, capturedAt: capturedAt,
      returns: returns + new, isWhole: isWhole)
  }

  /// How much the provider lists as returned, in minor units.
  /// - Parameter number: is left out.
  func returned(in currency: Currency, besides number: RefundNumber? = nil) -> Int64 {
    returns.reduce(0) { sum, item in
      let counts =
        item.amount.currency == currency && Money.plausibleAmounts.contains(item.amount.amount)
        && (number == nil || item.number != number)
      return counts ? sum + item.amount.amount : sum
    }
  }
}

/// By what evidence names its payment: an answer by that which was asked about, and what a provider says by itself by the
/// number that it was told.
package enum PaymentName: Hashable, Sendable {
  case id(PaymentID)
  case number(PaymentNumber)

  package var order: OrderName {
    switch self {
    case .id(let id): .id(id.order)
    case .number(let number): .number(number.order)
    }
  }

  var ordinal: Int {
    switch self {
    case .id(let id): id.ordinal
    case .number(let number): number.ordinal
    }
  }
}

extension PaymentEvidence.Verdict {
  /// Evidence of a lower rank never overwrites a status that rests on a higher one.
  package enum Rank: Int, Comparable {
    case none, unknown, pending, ended, succeeded
    package static func < (left: Rank, right: Rank) -> Bool { left.rawValue < right.rawValue }
  }

  package var rank: Rank {
    switch self {
    case .succeeded: .succeeded
    case .failed, .closed: .ended
    // A soft close speaks of its moment only: a minute later the buyer may have begun.
    case .pending, .declined, .closedSoftly: .pending
    case .unknown, .rejected, .notFound: .unknown
    case .notSent, .notNow: .none
    }
  }

  /// What the call that brought it found.
  var finding: CallState.Finding {
    switch self {
    case .succeeded, .failed, .closed, .closedSoftly: .found
    case .pending, .declined: .pending
    case .notFound: .notFound
    case .rejected: .refused
    case .notSent, .notNow, .unknown: .unanswered
    }
  }

  /// How long the provider wants to be left alone.
  var wait: Duration? { if case .notNow(let wait) = self { wait } else { nil } }
}
