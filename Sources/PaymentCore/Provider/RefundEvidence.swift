/// What a provider said about a refund.
package struct RefundEvidence: Hashable, Sendable {
  package let refund: RefundID
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
    case unknown(String)

    var finding: CallState.Finding {
      switch self {
      case .succeeded, .failed: .found
      case .pending: .pending
      case .refused: .refused
      case .notFound: .notFound
      case .notSent, .unknown: .unanswered
      }
    }
  }

  package init(
    refund: RefundID, provider: ProviderName, call: Int?, verdict: Verdict, reference: String? = nil
  ) {
    self.refund = refund
    self.provider = provider
    self.call = call
    self.verdict = verdict
    self.reference = reference
  }
}
