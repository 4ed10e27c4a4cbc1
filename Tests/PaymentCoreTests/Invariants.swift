import PaymentCore

/// What must hold of an order whatever happened to it, and of every step from one state to the next.
/// - Returns: what is broken, in words; empty when nothing is.
func broken(_ story: OrderStory, after before: OrderStory, _ command: Command?) -> [String] {
  guard let order = story.order else { return [] }
  var broken: [String] = []
  func hold(_ holds: Bool, _ rule: String) { if !holds { broken.append(rule) } }

  hold(order.payments.count(where: \.isLive) <= 1, "1: one live payment")
  hold(order.payments.count(where: \.isKept) <= 1, "2: one kept payment")
  hold((order.status == .paid) == (order.keptPayment != nil), "2: paid is having a kept payment")
  hold(order.status != .closed || order.livePayment == nil, "a closed order has no live payment")
  hold((order.status == .closing || order.status == .closed) == (order.closeReason != nil), "a reason to close")
  hold(Set(order.payments.map(\.key)).count == order.payments.count, "7: one payment per key")
  for (index, payment) in order.payments.enumerated() {
    hold(payment.id == PaymentID(order: order.id, ordinal: index + 1), "3: the id is the order's and the ordinal")
    hold((payment.status == .succeeded) == (payment.received != nil), "received is known of what succeeded")
    hold(payment.unknownSince == nil || payment.isLive, "only what is live is unknown")
    let surplusRefunds = order.refunds.filter { $0.payment == payment.id && $0.cause == .surplus }
    if payment.surplus != nil, payment.received!.amount > 0 {
      hold(surplusRefunds.count(where: { $0.status != .failed }) <= 1, "6: surplus goes back once")
      let isCovered =
        surplusRefunds.contains { $0.status != .failed || $0.failure?.code == "returned_elsewhere" }
        || order.cases.contains { item in surplusRefunds.contains { $0.id == item.refund } }
      hold(isCovered, "6: surplus goes back, or a person is told")
    } else {
      hold(surplusRefunds.isEmpty, "only surplus is returned by itself")
    }
    let hasExternal = order.refunds.contains { $0.payment == payment.id && $0.reason != nil }
    hold(hasExternal || payment.received == nil || order.refundable(payment) >= 0, "refunds never exceed what came")
    hold(!payment.isLive || payment.calls.nextAt != nil, "10: a live payment is looked at again")
  }
  for refund in order.refunds where refund.status == .processing {
    let hasCase = order.cases.contains { $0.refund == refund.id && $0.resolvedAt == nil }
    hold(refund.calls.nextAt != nil || hasCase, "10: a refund is looked at again, or waits for a person")
  }
  hold(order.wakeAt.map { $0 > story.now } ?? true, "10: nobody is woken for nothing")
  hold(story.events.enumerated().allSatisfy { $1.id.sequence == $0 + 1 }, "9: events are numbered without a gap")
  hold(order.sequence == story.events.count, "9: every event is counted")

  guard let earlier = before.order else { return broken }
  hold(earlier.status != .paid || order.status == .paid, "paid never changes back")
  hold(earlier.closeReason != .cancelled || order.closeReason == .cancelled, "what the shop closed stays closed")
  for (old, new) in zip(earlier.payments, order.payments) {
    if old.status == .succeeded {
      hold(new.status == .succeeded && new.received == old.received && new.surplus == old.surplus, "6: success stays")
    }
    if old.isLive, new.status == .failed || new.status == .closed {
      hold(old.mayHaveLeft ? isProof(command) : true, "4: no end without the provider's evidence")
    }
    hold(new.isLive ? old.isLive : true, "an end is an end")
    // What moves money is asked for the first time only while the order can still take it.
    if old.calls.firstSent == nil, new.calls.firstSent != nil {
      let watched = earlier.payments.filter { $0.isWatched && $0.id != new.id }
      hold(order.status == .open && new.closeRequestedAt == nil, "a charge leaves only for an open order")
      hold(
        watched.allSatisfy { old in
          let now = order.payments[old.id.ordinal - 1]
          return !now.isWatched || (now.calls.answeredAskAt.map { $0 >= new.createdAt } ?? false)
        }, "the watched ones answered first")
    }
  }
  return broken
}

private func isProof(_ command: Command?) -> Bool {
  guard case .evidence(.payment(let evidence)) = command else { return false }
  switch evidence.verdict {
  case .failed, .closed, .closedSoftly, .rejected, .notSent: return true
  default: return false
  }
}
