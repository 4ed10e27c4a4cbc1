extension Order {
  /// The next moment at which somebody must look at this order; `nil` when it is at rest.
  package var wakeAt: Instant? {
    var wake: Instant? = status == .open ? expiresAt : nil
    for payment in payments {
      if payment.isLive, !payment.mayHaveLeft, !hasAnswersOfWatched {
        // It waits for the watched payments, each of which has a moment of its own.
      } else {
        wake = earliest(wake, payment.calls.wakeAt)
      }
      if payment.isLive, payment.closeRequestedAt == nil { wake = earliest(wake, payment.expiresAt) }
    }
    // One that waits for answers about earlier ones is woken by theirs.
    for refund in refunds where !waitsForEarlier(refund) { wake = earliest(wake, refund.calls.wakeAt) }
    return wake
  }

  /// Whether a call for it is leased, or may still be leaving.
  package var isLeased: Bool {
    payments.contains { $0.calls.lease != nil || $0.calls.movingUntil != nil }
      || refunds.contains { $0.calls.lease != nil || $0.calls.movingUntil != nil }
  }

  /// Takes the leases of the calls that are due now, oldest payment first. They must be stored before a call leaves.
  /// - Parameters:
  ///   - now: as for `decide`: time does not run backwards for an order.
  ///   - recalled: what was put off and has its turn now.
  ///   - admit: says for how long a call has to be put off, since its provider is down or too much is under way; `nil` when
  ///     it can be made.
  /// - Returns: the calls to make.
  package mutating func takeCalls(
    _ now: Instant, rules: Rules, recalled: [Call.Subject] = [], admit: (Call) -> Duration? = { _ in nil }
  ) -> [Call] {
    let now = moment(now, margin: rules.schedule.leaseMargin)
    for subject in recalled { bringForward(subject, now: now) }
    return due(now, rules: rules).filter { call in
      if let wait = admit(call) {
        postpone(call, by: wait, now: now)
        return false
      }
      lease(call, now: now, schedule: rules.schedule)
      return true
    }
  }

  /// The calls to make now, oldest payment first. What is leased is left out.
  package func due(_ now: Instant, rules: Rules) -> [Call] {
    var calls: [Call] = []
    for payment in payments {
      guard let next = payment.calls.nextAt, next <= now, payment.calls.lease == nil,
        let kind = nextCall(payment, now: now, rules: rules)
      else { continue }
      calls.append(call(kind, payment, nil))
    }
    for refund in refunds where refund.number != nil {
      guard let next = refund.calls.nextAt, next <= now, refund.calls.lease == nil, !waitsForEarlier(refund),
        let payment = self.payment(refund.payment)
      else { continue }
      calls.append(call(nextCall(refund, rules.sheet(payment.provider), now: now), payment, refund))
    }
    return calls
  }

  /// A question about a payment that the order may not have.
  package func query(_ payment: Payment) -> Call { call(.query, payment, nil) }

  /// A question about a refund that the order may not have.
  package func queryRefund(_ number: RefundNumber, of payment: Payment, _ amount: Money) -> Call {
    let refund = Refund(
      id: RefundID(order: id, ordinal: min(refunds.count + 1, RefundID.maximum)), number: number, payment: payment.id,
      key: nil, amount: amount, asked: nil, cause: .surplus, reason: nil, createdAt: createdAt)
    return call(.queryRefund, payment, refund)
  }

  private func call(_ kind: Call.Kind, _ payment: Payment, _ refund: Refund?) -> Call {
    Call(
      kind, of: payment, number(of: payment.id), refund: refund, description: registration.description,
      isAwaited: refund == nil && isAwaited(payment))
  }

  /// Whether the close of this payment, or the charge of the next one, waits for the provider's answer about it. That is
  /// so for the first question: one that was not answered is asked again by the schedule, as any other.
  private func isAwaited(_ payment: Payment) -> Bool {
    guard payment.calls.step == 0 else { return false }
    if payment.isLive { return payment.closeRequestedAt != nil }
    return payment.isWatched && payment.calls.answeredAskAt == nil && livePayment.map { !$0.mayHaveLeft } ?? false
  }

  private mutating func lease(_ call: Call, now: Instant, schedule: Schedule) {
    if let refund = call.refund {
      refunds[refund.id.ordinal - 1].calls.take(call.kind, now: now, schedule: schedule)
    } else {
      payments[call.payment.ordinal - 1].calls.take(call.kind, now: now, schedule: schedule)
    }
    touch(now)
  }

  /// - Parameter wait: at least how long; up to a half more, so that what was put off together does not come back
  ///   together.
  mutating func postpone(_ call: Call, by wait: Duration, now: Instant) {
    let spread = wait.wholeMilliseconds / 2 + 1
    let salt = Int64(truncatingIfNeeded: id.bits & 0xFFFF_FFFF) + Int64(call.number)
    let moment = now.advanced(by: wait + .milliseconds(salt % spread))
    if let refund = call.refund {
      refunds[refund.id.ordinal - 1].calls.nextAt = moment
    } else {
      let index = call.payment.ordinal - 1
      payments[index].calls.nextAt = moment
      // By then the answers for which this charge waited are old.
      if call.kind == .charge, !payments[index].mayHaveLeft { askWatched(at: moment) }
    }
    touch(now)
  }

  /// Makes a call due that was put off. One that has been made meanwhile, or is not needed any more, is left alone.
  private mutating func bringForward(_ subject: Call.Subject, now: Instant) {
    switch subject {
    case .refund(let id):
      guard let calls = refund(id)?.calls, calls.lease == nil, let next = calls.nextAt, next > now else { return }
      refunds[id.ordinal - 1].calls.nextAt = now
    case .payment(let id):
      guard let payment = payment(id), payment.calls.lease == nil, let next = payment.calls.nextAt, next > now
      else { return }
      payments[id.ordinal - 1].calls.nextAt = now
      // The answers for which it waits are to be as new as they would have been later.
      if payment.isLive, !payment.mayHaveLeft { askWatched(at: now) }
    }
    touch(now)
  }

  /// Whether nothing happened since but that calls were put off again which had been put off beyond now before: readers
  /// ask again and again for what cannot be asked now.
  package func isOnlyPutOffAgain(_ calls: [Call], since before: Order, now: Instant) -> Bool {
    var order = self
    order.updatedAt = before.updatedAt
    for call in calls {
      switch call.subject {
      case .payment(let id):
        guard let known = before.payment(id)?.calls, let next = known.nextAt, next > now else { return false }
        (order.payments[id.ordinal - 1].calls.nextAt, order.payments[id.ordinal - 1].calls.step) = (next, known.step)
      case .refund(let id):
        guard let known = before.refund(id)?.calls, let next = known.nextAt, next > now else { return false }
        order.refunds[id.ordinal - 1].calls.nextAt = next
      }
    }
    return order == before
  }

  /// Forgets what was answered about the watched payments, and has their providers asked at this moment. A query in
  /// flight was asked earlier and proves nothing about it, so it is not waited for.
  mutating func askWatched(at moment: Instant) {
    for index in payments.indices where payments[index].isWatched {
      payments[index].calls.lease = nil
      payments[index].calls.answeredAskAt = nil
      payments[index].calls.restart(now: moment)
    }
  }

  private mutating func touch(_ now: Instant) { updatedAt = max(updatedAt, now) }

  /// The next call for a payment; `nil` when it has to wait for the watched ones, or has ended and is not watched.
  func nextCall(_ payment: Payment, now: Instant, rules: Rules) -> Call.Kind? {
    let sheet = rules.sheet(payment.provider)
    let last = payment.calls.last
    if payment.isWatched {
      return last?.kind == .query && last?.finding == .pending && payment.mayCloseAgain(sheet) ? .close : .query
    }
    guard payment.isLive else { return nil }
    guard payment.mayHaveLeft else { return hasAnswersOfWatched ? .charge : nil }
    guard payment.closeRequestedAt != nil else {
      let isLost = last?.kind == .query && last?.finding == .notFound && payment.status == .processing
      return isLost && payment.calls.isStill && sheet.canRepeat(payment.calls, now: now) ? .charge : .query
    }
    switch (last?.kind, last?.finding) {
    case (.query, .notFound) where sheet.burning == .createThenClose && payment.status == .processing:
      guard payment.calls.isStill else { return .query }
      return sheet.canRepeat(payment.calls, now: now) ? .charge : .close
    case (.query, _), (.charge, .found), (.charge, .pending), (.charge, .refused): return .close
    default: return .query
    }
  }

  private func nextCall(_ refund: Refund, _ sheet: CapabilitySheet, now: Instant) -> Call.Kind {
    guard refund.status == .processing else { return .queryRefund }
    guard refund.calls.firstSent != nil else { return .refund }
    let isLost = refund.calls.last?.kind == .queryRefund && refund.calls.last?.finding == .notFound
    return isLost && refund.calls.isStill && sheet.canRepeat(refund.calls, now: now) ? .refund : .queryRefund
  }

  /// Whether a refund that was not sent yet waits until the provider has said what became of an earlier one, which is
  /// called failed and may have been done.
  func waitsForEarlier(_ refund: Refund) -> Bool {
    refund.isUnsent && refunds[..<(refund.id.ordinal - 1)].contains { $0.payment == refund.payment && $0.isOpenDoubt }
  }

  /// Whether a later refund waits for the provider's answer about this one.
  func holdsOthersBack(_ refund: Refund) -> Bool {
    refund.isOpenDoubt && refunds[refund.id.ordinal...].contains { $0.payment == refund.payment && $0.isUnsent }
  }

  /// Whether every payment that may still turn out paid was asked about, and answered, since the last one started.
  private var hasAnswersOfWatched: Bool {
    payments.allSatisfy { !$0.isWatched || $0.calls.answeredAskAt != nil }
  }
}

extension Payment {
  /// Whether a close makes sense for an ended payment that its provider still knows: where the close was soft, or none was
  /// asked for.
  fileprivate func mayCloseAgain(_ sheet: CapabilitySheet) -> Bool {
    sheet.lateMoney[method] == nil || closeRequestedAt == nil
  }
}

extension CapabilitySheet {
  /// Whether the provider still knows the key under which these calls began to move money.
  func canRepeat(_ calls: CallState, now: Instant) -> Bool {
    guard let repeatWindow, let first = calls.firstSent else { return true }
    return now.since(first.at) < repeatWindow
  }
}
