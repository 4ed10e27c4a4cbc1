import PaymentCore

extension ModelState {
  /// A charge is asked for the first time: what was started before must be out of the way.
  func brokenByOpening(_ payment: Payment, _ bank: ModelBank) -> String? {
    for other in order.payments where other.id != payment.id {
      guard let charge = charges[other.id.ordinal - 1] else { continue }
      let since = payment.waitedUntil.milliseconds / 1000
      switch charge.status {
      // A code that nobody had scanned when it was asked about may be scanned right afterwards.
      case .open where bank.canBePaid(charge) && (bank.kind != .alipay || charge.begunAt.map { $0 < since } ?? false):
        return "1: \(payment.id.text) leaves while \(other.id.text) can be paid"
      case .captured where charge.capturedAt! < since:
        return "1: \(payment.id.text) leaves although \(other.id.text) had been paid"
      case .open, .captured, .declined, .closed, .refused: break
      }
    }
    return nil
  }

  func broken(_ bank: ModelBank) -> String? {
    if order.payments.count(where: \.isLive) > 1 { return "1: two payments are live" }
    if order.payments.count(where: \.isKept) > 1 { return "2: two payments are kept" }
    if (order.status == .paid) != (order.keptPayment != nil) { return "2: paid is having a kept payment" }
    if !order.keepsTheGuards { return "a store would not take the order" }
    for payment in order.payments where payment.status == .failed || payment.status == .closed {
      guard !payment.isWatched, let charge = charges[payment.id.ordinal - 1] else { continue }
      if bank.canBePaid(charge) || charge.status == .captured || bank.canBeLate(charge, now) {
        return "4: \(payment.id.text) is \(payment.status.rawValue), and its charge is \(charge.status)"
      }
    }
    for refund in order.refunds where refund.status == .succeeded && !returned.contains(refund.id) {
      return "6: \(refund.id.text) did not go back"
    }
    for payment in order.payments where returned.count(where: { order.refund($0)?.payment == payment.id }) > 1 {
      return "6: \(payment.id.text) went back twice"
    }
    return nil
  }

  /// From here on everything works: does it come to its end, and to the right one?
  /// - Parameter good: the states from which it does.
  func brokenInTheCalm(_ bank: ModelBank, _ rules: Rules, _ good: inout Set<UInt128>) -> String? {
    var state = self
    var way: Set<UInt128> = []
    while true {
      let key = state.key(bank, rules)
      if good.contains(key) { break }
      if !way.insert(key).inserted { return "10: in the calm, it goes round for ever" }
      if let flight = state.flights.first {
        let action: Action = flight.isUnderWay ? .arrive(0, .open, isDoubled: false) : .answer(0)
        if let broken = state.take(action, bank, rules) { return "in the calm, \(broken)" }
      } else if state.order.wakeAt != nil {
        if let broken = state.take(.second, bank, rules) { return "in the calm, \(broken)" }
      } else if let broken = state.brokenAtRest(bank) {
        return "at rest, \(broken)"
      } else {
        break
      }
      if let broken = state.broken(bank) { return "in the calm, \(broken)" }
    }
    good.formUnion(way)
    return nil
  }

  private func brokenAtRest(_ bank: ModelBank) -> String? {
    guard order.status == .paid || order.status == .closed else { return "10: it is \(order.status.rawValue)" }
    if let payment = order.payments.first(where: { $0.isLive || $0.isWatched }) {
      return "10: \(payment.id.text) is \(payment.status.rawValue), and nobody looks at it"
    }
    if order.refunds.contains(where: { $0.status == .processing }) { return "10: a refund is under way" }
    for item in order.cases where item.resolvedAt == nil {
      // A refund that nobody finds, and whose key may be forgotten, is for a person to decide.
      if item.reason == .refundFailed, bank.sheet.repeatWindow != nil { return nil }
      return "10: a case is open: \(item.reason)"
    }
    for (index, charge) in charges.enumerated() {
      let isTaken = charge?.status == .captured
      let isReturned = returned.contains { order.refund($0)!.payment.ordinal == index + 1 }
      let isKept = index < order.payments.count && order.payments[index].isKept
      if isTaken != isKept, !isReturned { return "6: the books and the order differ about payment \(index + 1)" }
      if isKept, isReturned { return "6: the kept payment went back" }
    }
    return nil
  }
}
