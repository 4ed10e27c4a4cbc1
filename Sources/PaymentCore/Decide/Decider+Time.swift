extension Decider {
  /// Applies what time alone does, before the command: leases lapse, the deadline passes, payments expire, watches end.
  mutating func applyTime() {
    if before.isAhead(of: now, by: rules.schedule.leaseMargin) { correctTime() }
    lapseLeases(endingBy: now)
    if order.status == .open, now >= order.expiresAt { startClosing(.expired) }
    for index in order.payments.indices {
      let payment = order.payments[index]
      if payment.isLive, payment.closeRequestedAt == nil, now >= payment.expiresAt { requestClose(index) }
      if payment.isWatched, let end = payment.watchUntil, let asked = payment.calls.answeredAskAt, asked >= end {
        order.payments[index].endWatch(now: now)
      }
    }
    finishClosing()
  }

  /// A call whose lease lapsed was not answered: whoever made it died, or lost its way back. It may have arrived.
  /// - Parameter end: `nil` for all of them.
  private mutating func lapseLeases(endingBy end: Instant? = nil) {
    for index in order.payments.indices where order.payments[index].calls.isLeased(until: end) {
      order.payments[index].calls.lapse(now: now)
      if order.payments[index].isLive { doubt(index, "the call was made and nobody came back with its answer") }
    }
    for index in order.refunds.indices where order.refunds[index].calls.isLeased(until: end) {
      order.refunds[index].calls.lapse(now: now)
      order.refunds[index].becomeUnknown(now: now)
    }
  }

  /// The one process that made calls for this store is dead, and nothing of it is leaving any more.
  mutating func recover() {
    lapseLeases()
    for index in order.payments.indices { order.payments[index].calls.movingUntil = nil }
    for index in order.refunds.indices { order.refunds[index].calls.movingUntil = nil }
  }

  /// Brings forward the calls that a clock which was far ahead has planned. They would wait until that moment really
  /// comes.
  private mutating func correctTime() {
    lapseLeases()
    for index in order.payments.indices {
      order.payments[index].calls.correct(now: now, moving: rules.schedule.moving)
    }
    for index in order.refunds.indices { order.refunds[index].calls.correct(now: now, moving: rules.schedule.moving) }
  }

  /// Sets the next call of a payment by the schedule.
  mutating func reschedule(_ index: Int) {
    let calls = order.payments[index].calls
    let wait = rules.schedule.wait(step: calls.step, salt: salt(index + 1))
    var next = now.advanced(by: wait)
    // A watch ends with an answer that was asked for at its very end, not a day later.
    if order.payments[index].isWatched, let end = order.payments[index].watchUntil, end > now { next = min(next, end) }
    order.payments[index].calls.nextAt = next
    order.payments[index].calls.step += 1
  }

  /// Sets the next call of a refund by the schedule.
  mutating func rescheduleRefund(_ index: Int) {
    let calls = order.refunds[index].calls
    let wait = rules.schedule.wait(step: calls.step, salt: ~salt(index + 1))
    order.refunds[index].calls.nextAt = now.advanced(by: wait)
    order.refunds[index].calls.step += 1
  }
}
