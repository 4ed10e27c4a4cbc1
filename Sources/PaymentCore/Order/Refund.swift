/// Money going back from one payment.
package struct Refund: Hashable, Sendable {
  package let id: RefundID
  /// Under which its provider knows it; `nil` for one that was made there by somebody else.
  package let number: RefundNumber?
  package let payment: PaymentID
  /// The key of the request that asked for it; unique within the payment. `nil` when nobody asked: surplus money, or
  /// a refund made at the provider's own dashboard; and for one that was forgotten and found again, until its shop asks
  /// for it once more.
  package private(set) var key: IdempotencyKey?
  package internal(set) var amount: Money
  /// The minor units that were asked for; `nil` for all that was left. What is really sent can be less.
  package private(set) var asked: Int64?
  package let cause: Cause
  package private(set) var reason: String?
  package let createdAt: Instant

  package private(set) var state: State = .processing(unknownSince: nil, refusal: nil)
  package internal(set) var providerReference: String?
  package private(set) var updatedAt: Instant
  package internal(set) var calls: CallState

  /// How far it is, with what belongs to it there.
  package enum State: Hashable, Sendable {
    /// - Parameters:
    ///   - unknownSince: since when nobody knows whether the provider acted; `nil` when its state is known.
    ///   - refusal: why the provider refuses for good what has to go back all the same, by a person's hand.
    case processing(unknownSince: Instant?, refusal: Failure?)
    case succeeded
    case failed(Failure, FailureBasis)
  }

  /// Why it is called failed. Only what is proven is an end: otherwise the provider may know better, and is asked once
  /// more before the money leaves under another number.
  package enum FailureBasis: String, CaseIterable, Hashable, Sendable {
    /// The provider says that the money did not go back, or came back.
    case proven
    /// The provider refuses to do it.
    case refused
    /// The provider lists no such refund, and may have forgotten its key.
    case notFound = "not_found"
    /// The money went back by other means.
    case settled
  }

  /// What a shop asks for.
  package struct Request: Hashable, Sendable {
    /// In minor units; `nil` for all that is left.
    package let amount: Int64?
    package let reason: String?
    /// How many minor units the caller believes to be refunded or on their way back; `nil` not to look. It is a condition
    /// and no content: a repeat under the same key is the same request, whatever happened since.
    package let expectedRefunded: Int64?

    package init(amount: Int64?, reason: String? = nil, expectedRefunded: Int64? = nil) {
      self.amount = amount
      self.reason = reason
      self.expectedRefunded = expectedRefunded
    }
  }

  static let notFound = "not_found"
  static let settledOutside = "settled_outside"
  static let returnedElsewhere = "returned_elsewhere"
  static let returnedInPart = "returned_in_part"

  /// Why it failed, if it did.
  package var failureBasis: FailureBasis? { if case .failed(_, let basis) = state { basis } else { nil } }

  /// Whether the last call that ended said what became of it.
  var isAnswered: Bool { calls.last.map { $0.finding == .found || $0.finding == .notFound } ?? false }

  /// Whether it may have been done all the same, although it is called failed.
  var isInDoubt: Bool {
    guard let failureBasis, calls.firstSent != nil else { return false }
    return failureBasis == .refused || failureBasis == .notFound
  }

  /// Whether the provider has not said yet what became of it, although it is called failed and may have been done.
  var isOpenDoubt: Bool { isInDoubt && !(calls.answeredAskAt != nil && isAnswered) }

  var isUnsent: Bool { status == .processing && calls.firstSent == nil }

  package enum Status: String, CaseIterable, Hashable, Sendable { case processing, succeeded, failed }
  package enum Cause: String, CaseIterable, Hashable, Sendable { case requested, surplus }

  package init(
    id: RefundID, number: RefundNumber?, payment: PaymentID, key: IdempotencyKey?, amount: Money, asked: Int64?,
    cause: Cause, reason: String?, createdAt: Instant
  ) {
    self.id = id
    self.number = number
    self.payment = payment
    self.key = key
    self.amount = amount
    self.asked = asked
    self.cause = cause
    self.reason = reason
    self.createdAt = createdAt
    updatedAt = createdAt
    calls = CallState(nextAt: createdAt)
  }

  /// As a store kept it.
  package init(
    restored refund: Refund, state: State, providerReference: String?, updatedAt: Instant, calls: CallState
  ) {
    self = refund
    self.state = state
    self.providerReference = providerReference
    self.updatedAt = updatedAt
    self.calls = calls
  }

  // MARK: Transitions

  /// Its shop asks again for what the database forgot.
  mutating func claim(_ key: IdempotencyKey, _ request: Request) {
    (self.key, asked, reason) = (key, request.amount, request.reason)
  }

  mutating func succeed(now: Instant) { end(.succeeded, now: now) }

  /// It did not happen, and under its number it will not.
  mutating func fail(_ failure: Failure, _ basis: FailureBasis, now: Instant) {
    end(.failed(failure, basis), now: now)
  }

  /// The provider says, too, that it did not happen.
  mutating func prove(_ failure: Failure) {
    state = .failed(failure, .proven)
    calls.rest()
  }

  private mutating func end(_ state: State, now: Instant) {
    self.state = state
    updatedAt = now
    calls.rest()
  }

  /// The provider will not do it, and it has to be done: nothing is called until a person has decided.
  mutating func waitForPerson(_ refusal: Failure, now: Instant) {
    end(.processing(unknownSince: nil, refusal: refusal), now: now)
  }

  /// A person wants it asked for once more.
  mutating func retry(now: Instant) {
    state = .processing(unknownSince: nil, refusal: nil)
    updatedAt = now
    calls.restart(now: now)
  }

  mutating func becomeKnown(now: Instant) {
    guard case .processing(.some, let refusal) = state else { return }
    state = .processing(unknownSince: nil, refusal: refusal)
    updatedAt = now
  }

  /// Nobody knows whether the provider acted.
  mutating func becomeUnknown(now: Instant) {
    guard case .processing(nil, let refusal) = state else { return }
    state = .processing(unknownSince: now, refusal: refusal)
    updatedAt = now
  }
}

extension Refund {
  package var status: Status {
    switch state {
    case .processing: .processing
    case .succeeded: .succeeded
    case .failed: .failed
    }
  }

  package var unknownSince: Instant? { if case .processing(let since, _) = state { since } else { nil } }

  package var failure: Failure? {
    switch state {
    case .processing(_, let refusal): refusal
    case .succeeded: nil
    case .failed(let failure, _): failure
    }
  }
}
