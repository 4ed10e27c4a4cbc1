/// One try to pay an order through one provider and method.
package struct Payment: Hashable, Sendable {
  package let id: PaymentID
  /// The key of the request that made it; unique within the order.
  package let key: IdempotencyKey
  package let provider: ProviderName
  package let method: String
  /// The method that was asked for; `nil` when none was named and the provider's first one was meant at that time.
  package let askedMethod: String?
  /// What the provider is asked to take.
  package let amount: Money
  package let createdAt: Instant
  /// When it is closed at the provider if the buyer has not paid by then.
  package let expiresAt: Instant

  package private(set) var state: State = .processing(.init())
  package internal(set) var providerReference: String?
  package private(set) var closeRequestedAt: Instant?
  package private(set) var updatedAt: Instant
  package internal(set) var calls: CallState

  /// How far it is, with what belongs to it there.
  package enum State: Hashable, Sendable {
    case processing(Pending)
    case requiresAction(NextAction, Pending)
    case succeeded(Receipt)
    /// - Parameter watchUntil: until when it is asked about all the same, since its provider may still take money for it;
    ///   `nil` when it cannot.
    case failed(Failure, watchUntil: Instant?)
    case closed(watchUntil: Instant?)
  }

  /// Of a payment whose end is not known.
  package struct Pending: Hashable, Sendable {
    /// Since when nobody knows whether the provider acted; `nil` when its state is known.
    package var unknownSince: Instant?
    /// Why a try was declined that the buyer can still repeat.
    package var decline: Failure?

    package init(unknownSince: Instant? = nil, decline: Failure? = nil) {
      self.unknownSince = unknownSince
      self.decline = decline
    }
  }

  /// Of money that was taken.
  package struct Receipt: Hashable, Sendable {
    /// As the provider says.
    package let amount: Money
    /// When the provider took it, by its own clock and word; `nil` when it does not say. It decides only about money that a
    /// restored database has forgotten.
    package var capturedAt: Instant?
    /// Why the order does not keep it; `nil` when it does.
    package let surplus: Surplus?

    package init(_ amount: Money, capturedAt: Instant? = nil, surplus: Surplus?) {
      self.amount = amount
      self.capturedAt = capturedAt
      self.surplus = surplus
    }
  }

  package enum Status: String, CaseIterable, Hashable, Sendable {
    case processing
    case requiresAction = "requires_action"
    case succeeded, failed, closed
  }

  /// Why the order does not keep this money.
  package enum Surplus: String, CaseIterable, Hashable, Sendable { case mismatch, duplicate, late }

  package init(
    id: PaymentID, key: IdempotencyKey, provider: ProviderName, method: String, askedMethod: String?, amount: Money,
    createdAt: Instant, expiresAt: Instant
  ) {
    self.id = id
    self.key = key
    self.provider = provider
    self.method = method
    self.askedMethod = askedMethod
    self.amount = amount
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    updatedAt = createdAt
    calls = CallState(nextAt: createdAt)
  }

  /// As a store kept it.
  package init(
    restored payment: Payment, state: State, providerReference: String? = nil, closeRequestedAt: Instant? = nil,
    updatedAt: Instant, calls: CallState
  ) {
    self = payment
    self.state = state
    self.providerReference = providerReference
    self.closeRequestedAt = closeRequestedAt
    self.updatedAt = updatedAt
    self.calls = calls
  }

  // MARK: Transitions

  /// The provider took the money.
  mutating func succeed(_ received: Money, surplus: Surplus?, now: Instant) {
    state = .succeeded(Receipt(received, surplus: surplus))
    updatedAt = now
    calls.rest()
  }

  /// The provider's word on when it took the money counts once.
  mutating func noteCapture(at moment: Instant) {
    guard case .succeeded(var receipt) = state, receipt.capturedAt == nil, Instant.plausible.contains(moment) else {
      return
    }
    receipt.capturedAt = moment
    state = .succeeded(receipt)
  }

  /// The provider has it and it is not decided.
  /// - Returns: whether the buyer has to do something from now on.
  mutating func becomeKnown(_ action: NextAction?, now: Instant) -> Bool {
    guard var pending else { return false }
    if pending.unknownSince != nil || (action != nil && action != self.action) { updatedAt = now }
    pending.unknownSince = nil
    guard let action = action ?? self.action else {
      state = .processing(pending)
      return false
    }
    let isNew = status == .processing
    state = .requiresAction(action, pending)
    if isNew { calls.step = 0 }
    return isNew
  }

  /// A try was declined, and the buyer still holds something to pay with.
  mutating func decline(_ failure: Failure) { changePending { $0.decline = failure } }

  /// Nobody knows whether the provider acted.
  /// - Returns: whether that is new.
  mutating func becomeUnknown(now: Instant) -> Bool {
    guard let pending, pending.unknownSince == nil else { return false }
    changePending { $0.unknownSince = now }
    updatedAt = now
    return true
  }

  /// A close is wanted. A payment that can have reached the provider is asked about and closed there.
  /// - Returns: whether that is new.
  mutating func requestClose(now: Instant) -> Bool {
    guard closeRequestedAt == nil else { return false }
    closeRequestedAt = now
    guard mayHaveLeft else { return true }
    updatedAt = now
    calls.step = 0
    // What was found before does not count: the provider is asked again before the close.
    calls.last = nil
    if calls.lease == nil { calls.nextAt = now }
    return true
  }

  /// It ends without money: as failed where a try of it was declined, else as closed.
  /// - Parameter watchUntil: until when it is asked about nevertheless.
  mutating func end(watchUntil: Instant? = nil, now: Instant) {
    state = failure.map { .failed($0, watchUntil: watchUntil) } ?? .closed(watchUntil: watchUntil)
    updatedAt = now
    if watchUntil == nil {
      calls.rest()
    } else {
      calls.lease = nil
      calls.step = 0
    }
  }

  /// Money can come until then and no longer.
  mutating func endWatch(by end: Instant) { watch(until: watchUntil.map { min($0, end) }) }

  /// No more money is expected of it.
  mutating func endWatch(now: Instant) {
    watch(until: nil)
    updatedAt = now
    calls.rest()
  }

  /// It may take money after all.
  mutating func watchAgain(until end: Instant, now: Instant) {
    watch(until: end)
    updatedAt = now
    calls.restart(now: now)
  }

  private mutating func watch(until end: Instant?) {
    switch state {
    case .failed(let failure, _): state = .failed(failure, watchUntil: end)
    case .closed: state = .closed(watchUntil: end)
    case .processing, .requiresAction, .succeeded: break
    }
  }

  private mutating func changePending(_ change: (inout Pending) -> Void) {
    guard var pending else { return }
    change(&pending)
    state = action.map { .requiresAction($0, pending) } ?? .processing(pending)
  }
}

extension Payment {
  package var status: Status {
    switch state {
    case .processing: .processing
    case .requiresAction: .requiresAction
    case .succeeded: .succeeded
    case .failed: .failed
    case .closed: .closed
    }
  }

  private var pending: Pending? {
    switch state {
    case .processing(let pending), .requiresAction(_, let pending): pending
    case .succeeded, .failed, .closed: nil
    }
  }

  private var receipt: Receipt? { if case .succeeded(let receipt) = state { receipt } else { nil } }

  /// What the provider says it took.
  package var received: Money? { receipt?.amount }

  package var surplus: Surplus? { receipt?.surplus }

  package var capturedAt: Instant? { receipt?.capturedAt }

  package var unknownSince: Instant? { pending?.unknownSince }

  /// What the buyer has to do next. Shown only by `nextAction`, since it is over once a close was asked for.
  package var action: NextAction? { if case .requiresAction(let action, _) = state { action } else { nil } }

  /// Why it failed, or why a try of it was declined.
  package var failure: Failure? { if case .failed(let failure, _) = state { failure } else { pending?.decline } }

  /// Until when it is asked about after its end.
  package var watchUntil: Instant? {
    switch state {
    case .failed(_, let end), .closed(let end): end
    case .processing, .requiresAction, .succeeded: nil
    }
  }

  /// Processing, or waiting for the buyer: whether or not its close was asked for.
  package var isLive: Bool { status == .processing || status == .requiresAction }

  /// It ended, but its provider may still take money for it.
  package var isWatched: Bool { watchUntil != nil }

  /// It succeeded and the order keeps it.
  package var isKept: Bool { status == .succeeded && surplus == nil }

  /// Whether an attempt of its charge may have reached the provider.
  package var mayHaveLeft: Bool { calls.firstSent != nil }

  /// When its provider is asked about it next; `nil` while it is being asked. Nobody asks any more beyond a call's
  /// time-out, whoever took the lease; the next question comes when the lease lapses.
  package func nextCheckAt(_ now: Instant, _ schedule: Schedule) -> Instant? {
    guard let lease = calls.lease else { return calls.nextAt }
    return now < lease.askedAt.advanced(by: schedule.callTimeout) ? nil : lease.until
  }

  /// What the buyer has to do next, while that is of any use.
  package var nextAction: NextAction? { status == .requiresAction && closeRequestedAt == nil ? action : nil }
}
