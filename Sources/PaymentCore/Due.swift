extension Order {
  /// The next moment at which somebody must look at this order; `nil` when it is at rest.
  package var wakeAt: Instant? {
    var wake: Instant? = status == .open ? expiresAt : nil
    for payment in payments {
      if payment.isLive, !payment.mayHaveLeft, !hasAnswersOfWatched {
        // It waits for the watched ones, and they have a moment of their own.
      } else {
        wake = earliest(wake, payment.calls.wakeAt)
      }
      if payment.isLive, payment.closeRequestedAt == nil { wake = earliest(wake, payment.expiresAt) }
    }
    for refund in refunds { wake = earliest(wake, refund.calls.wakeAt) }
    return wake
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
    for refund in refunds {
      guard let next = refund.calls.nextAt, next <= now, refund.calls.lease == nil,
        let payment = self.payment(refund.payment)
      else { continue }
      calls.append(call(nextCall(refund), payment, refund))
    }
    return calls
  }

  private func call(_ kind: Call.Kind, _ payment: Payment, _ refund: Refund?) -> Call {
    Call(
      kind: kind, number: (refund?.calls.made ?? payment.calls.made) + 1, payment: payment, refund: refund,
      description: registration.description, checkout: checkoutToken)
  }

  /// Takes the lease for a call that `due` named. It must be stored before the call leaves.
  package mutating func lease(_ call: Call, now: Instant, schedule: Schedule) {
    let until = now.advanced(by: schedule.lease)
    if let refund = call.refund {
      refunds[refund.id.ordinal - 1].calls.take(call.kind, now: now, until: until)
    } else {
      payments[call.payment.id.ordinal - 1].calls.take(call.kind, now: now, until: until)
    }
    touch(now)
  }

  /// Puts off a call that `due` named and that cannot be made now: the provider is down, or too much is under way.
  package mutating func postpone(_ call: Call, until: Instant, now: Instant) {
    if let refund = call.refund {
      refunds[refund.id.ordinal - 1].calls.nextAt = until
    } else {
      payments[call.payment.id.ordinal - 1].calls.nextAt = until
    }
    touch(now)
  }

  private mutating func touch(_ now: Instant) { updatedAt = max(updatedAt, now) }

  /// What is to be asked of the provider next for a payment, or `nil` when it has to wait for the watched ones.
  func nextCall(_ payment: Payment, now: Instant, rules: Rules) -> Call.Kind? {
    let sheet = rules.sheet(payment.provider)
    let last = payment.calls.last
    if payment.isWatched {
      return last?.kind == .query && last?.finding == .found && payment.mayCloseAgain(sheet) ? .close : .query
    }
    guard payment.isLive else { return nil }
    guard payment.mayHaveLeft else { return hasAnswersOfWatched ? .charge : nil }
    guard payment.closeRequestedAt != nil else {
      let isLost = last?.kind == .query && last?.finding == .notFound && payment.status == .processing
      return isLost && sheet.canRepeat(firstSentAt: payment.calls.firstSentAt, now: now) ? .charge : .query
    }
    switch (last?.kind, last?.finding) {
    case (.query, .notFound) where sheet.burning == .createThenClose && payment.status == .processing:
      return sheet.canRepeat(firstSentAt: payment.calls.firstSentAt, now: now) ? .charge : .close
    case (.query, _), (.charge, .found), (.charge, .refused): return .close
    default: return .query
    }
  }

  private func nextCall(_ refund: Refund) -> Call.Kind {
    guard refund.calls.firstSentAt != nil else { return .refund }
    return refund.calls.last?.kind == .queryRefund && refund.calls.last?.finding == .notFound ? .refund : .queryRefund
  }

  /// Whether every payment that may still turn out paid was asked about, and answered, since the last one started.
  private var hasAnswersOfWatched: Bool {
    payments.allSatisfy { !$0.isWatched || $0.calls.answeredAskAt != nil }
  }
}

extension Payment {
  /// Whether a close makes sense for an ended payment that its provider still knows: only where the close was soft.
  fileprivate func mayCloseAgain(_ sheet: CapabilitySheet) -> Bool { sheet.lateMoney[method] == nil }
}

extension CapabilitySheet {
  /// Whether the provider still knows the key of what was first sent at this moment.
  func canRepeat(firstSentAt: Instant?, now: Instant) -> Bool {
    guard let repeatWindow, let firstSentAt else { return true }
    return now.since(firstSentAt) < repeatWindow
  }
}
