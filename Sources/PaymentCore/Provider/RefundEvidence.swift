/// What a provider said about a refund.
package struct RefundEvidence: Hashable, Sendable {
  package let refund: RefundName
  package let provider: ProviderName
  /// The call that it answers; `nil` when the provider spoke by itself.
  package let call: Int?
  package let verdict: Verdict
  package let reference: String?

  package enum Verdict: Hashable, Sendable {
    /// The money went back: as much as the provider says, if it does.
    case succeeded(Money?)
    case pending
    /// The provider's proof that the money did not go back, also after it had said so.
    case failed(Failure)
    /// The provider will not do it, however often it is asked.
    case refused(Failure)
    case notFound
    case notSent
    /// The provider did nothing, and wants to be asked again, but not before so long: it is busy, or the account has not
    /// enough money.
    case notNow(Duration)
    case unknown(String)

    var finding: CallState.Finding {
      switch self {
      case .succeeded, .failed: .found
      case .pending: .pending
      case .refused: .refused
      case .notFound: .notFound
      case .notSent, .notNow, .unknown: .unanswered
      }
    }

    /// How long the provider wants to be left alone.
    var wait: Duration? { if case .notNow(let wait) = self { wait } else { nil } }
  }

  package init(
    refund: RefundID, provider: ProviderName, call: Int?, verdict: Verdict, reference: String? = nil
  ) {
    self.init(.id(refund), provider: provider, call: call, verdict: verdict, reference: reference)
  }

  /// Of what the provider said by itself.
  package init(
    number: RefundNumber, of payment: PaymentNumber, provider: ProviderName, verdict: Verdict, reference: String? = nil
  ) {
    self.init(.number(number, of: payment), provider: provider, call: nil, verdict: verdict, reference: reference)
  }

  private init(_ refund: RefundName, provider: ProviderName, call: Int?, verdict: Verdict, reference: String?) {
    self.refund = refund
    self.provider = provider
    self.call = call
    self.verdict = verdict
    self.reference = reference
  }
}

/// By what evidence names its refund; see `PaymentName`.
package enum RefundName: Hashable, Sendable {
  case id(RefundID)
  case number(RefundNumber, of: PaymentNumber)

  package var order: OrderName {
    switch self {
    case .id(let id): .id(id.order)
    case .number(_, let payment): .number(payment.order)
    }
  }
}
