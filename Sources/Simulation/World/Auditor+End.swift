import PaymentCore

/// What must be so when everything has come to its end.
extension Auditor {
  func calmBegins() { stories.addToAll(at: world.clock.now, "the calm begins") }

  func isAtRest(_ contents: SimulatedStore.Contents) -> Bool {
    contents.orders.values.allSatisfy { order in
      order.wakeAt == nil && order.cases.allSatisfy { $0.resolvedAt != nil }
    }
  }

  func finish(_ contents: SimulatedStore.Contents) {
    for (id, told) in told.sorted(by: { $0.key < $1.key }) where !forgotten.contains(told.number) {
      guard let order = contents.orders[id] else {
        return fail("8: what was acknowledged stays", "the order is gone", id)
      }
      hold(
        told.registration == nil || told.registration == order.registration, "8: what was acknowledged stays",
        "it changed", id)
      for (key, payment) in told.keys {
        hold(order.payment(payment)?.key == key, "8: what was acknowledged stays", "\(payment.text) is gone", id)
      }
      for payment in told.succeeded {
        hold(order.payment(payment)?.status == .succeeded, "8: what was acknowledged stays", "a success is gone", id)
      }
    }
    for order in contents.orders.values.sorted(by: { $0.id < $1.id }) { finish(order, contents) }
    for bank in world.banks {
      for charge in bank.charges where contents.numbers[charge.trade.order] == nil && charge.kept > 0 {
        fail(
          "6: money is never lost from sight", "money was taken for an order that nobody stored",
          ids[charge.trade.order])
      }
    }
  }

  private func finish(_ order: Order, _ contents: SimulatedStore.Contents) {
    let id = order.id
    hold(order.wakeAt == nil && order.livePayment == nil, "10: it ends", "it is not at rest", id)
    hold(order.status == .paid || order.status == .closed, "10: it ends", "it is \(order.status.rawValue)", id)
    for refund in order.refunds {
      hold(
        refund.status != .processing || order.cases.contains { $0.refund == refund.id && $0.resolvedAt == nil },
        "10: it ends", "\(refund.id.text) is still processing", id)
    }
    let events = contents.events[id] ?? []
    hold(
      events.map(\.id.sequence) == Array(1...max(1, order.sequence)), "9: events", "not numbered without a gap", id)
    let isForgotten = forgotten.contains(order.number)
    var kept: Int64 = 0
    for bank in world.banks {
      for (trade, charges) in bank.all(of: order.number) {
        let payment = PaymentID(order: id, ordinal: trade.ordinal)
        let taken = charges.filter { $0.state.status == .captured }
        // What was forgotten for longer than its provider keeps keys.
        let mayBeTwice = isForgotten && bank.kind.keyLife != nil
        hold(
          mayBeTwice || charges.count <= 1, "3: one provider object per payment",
          "\(payment.text) has \(charges.count) at \(bank.kind.rawValue)", id)
        let left = taken.reduce(0) { $0 + $1.kept } - outside[trade, default: 0]
        guard !taken.isEmpty else { continue }
        guard let stored = order.payment(payment), stored.provider == bank.kind.name, stored.status == .succeeded else {
          // An operator who was told of forgotten money may leave it where it is.
          let isKnown = order.cases.contains { $0.payment == payment && $0.reason == .unknownPayment }
          hold(
            left <= 0 || isKnown || isForgotten && world.isBehindGap(trade), "6: money is never lost from sight",
            "\(payment.text) was paid, and nobody knows", id)
          if !isKnown { kept += max(0, left) }
          continue
        }
        let asked = order.refunds.filter { $0.payment == payment && $0.status == .succeeded }
          .reduce(0) { $0 + $1.amount.amount }
        if stored.surplus != nil {
          hold(
            left <= 0, "6: surplus goes back in full",
            "\(left) of \(payment.text) (\(stored.surplus!.rawValue)) was not returned", id)
          world.tally.surplusReturned += 1
        } else {
          kept += max(0, left)
        }
        // Surplus money of which its shop had something returned before it was forgotten: the provider refuses to return
        // it, and a person decides.
        let isUnseen = isForgotten && (mayBeTwice || stored.surplus != nil && !bank.kind.listsRefunds)
        let returned = taken.reduce(0) { $0 + ($1.state.captured?.amount ?? 0) - $1.kept }
        hold(
          isUnseen || returned == asked, "6: exactly once",
          "\(returned) of \(payment.text) went back, \(asked) is known", id)
      }
    }
    hold(
      kept <= order.registration.amount.amount, "2: one kept payment",
      "\(kept) is kept for an order of \(order.registration.amount.text)", id)
    if kept > 0 { world.tally.paidOrders += 1 }
  }
}
