extension Decider {
  /// What time alone does, before a command is looked at: leases lapse, the deadline passes, payments expire,
  /// watches end.
  mutating func applyTime() {
    lapseLeases()
    if order.status == .open, now >= order.expiresAt { startClosing(.expired) }
    for index in order.payments.indices {
      let payment = order.payments[index]
      if payment.isLive, payment.closeRequestedAt == nil, now >= payment.expiresAt { requestClose(index) }
      if payment.isWatched, let end = payment.watchUntil, let asked = payment.calls.answeredAskAt, asked >= end {
        endWatch(index)
      }
    }
    finishClosing()
  }

  /// A call whose lease lapsed was not answered: whoever made it died, or lost its way back. It may have arrived.
  private mutating func lapseLeases() {
    for index in order.payments.indices {
      guard let lease = order.payments[index].calls.lease, lease.until <= now else { continue }
      _ = order.payments[index].calls.finish(number: lease.number, finding: .unanswered, now: now)
      order.payments[index].calls.nextAt = now
      if order.payments[index].isLive { doubt(index, "the call was made and nobody came back with its answer") }
    }
    for index in order.refunds.indices {
      guard let lease = order.refunds[index].calls.lease, lease.until <= now else { continue }
      _ = order.refunds[index].calls.finish(number: lease.number, finding: .unanswered, now: now)
      order.refunds[index].calls.nextAt = now
      if order.refunds[index].unknownSince == nil { order.refunds[index].unknownSince = now }
    }
  }

  /// Sets the next call of a payment by the schedule.
  mutating func reschedule(_ index: Int) {
    let calls = order.payments[index].calls
    let wait = rules.schedule.wait(step: calls.step, salt: salt(index + 1))
    var next = now.advanced(by: wait)
    // A watch is to end with an answer that was asked for at its very end, not a day later.
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
