import PaymentCore
import PaymentEngine

/// Has an idea of its own of what must be so. It is told what was asked and answered, sees what was committed, and trusts
/// only the banks' books.
final class Auditor: @unchecked Sendable {
  // A world runs on one thread; see `SeededExecutor`.
  unowned let world: World
  private(set) var violation: Violation?
  var stories: Stories

  struct Violation: Sendable, CustomStringConvertible {
    /// The invariant, as docs/internals/domain.md numbers it.
    let rule: String
    let detail: String
    let order: OrderID?
    var description: String { "\(rule): \(detail)" }
  }

  /// What an order's shop and buyers were told.
  struct Told {
    let number: OrderNumber
    var registration: Order.Registration?
    var keys: [IdempotencyKey: PaymentID] = [:]
    var refunds: [RefundKey: RefundID] = [:]
    var succeeded: Set<PaymentID> = []
    /// Whether its shop was answered that it is closed.
    var isClosed = false
  }
  struct RefundKey: Hashable {
    let payment: PaymentID
    let key: IdempotencyKey
  }
  var told: [OrderID: Told] = [:]
  /// Orders of which the store forgot something that was acknowledged.
  var forgotten: Set<OrderNumber> = []
  /// The last order under each number: one that the store forgot and its shop registered again has another id.
  var ids: [OrderNumber: OrderID] = [:]
  /// Money that an operator says was returned by other means.
  var outside: [PaymentNumber: Int64] = [:]
  /// The payments whose charge was asked for.
  private var opened: Set<PaymentID> = []
  /// When what moves money was first on its way, by the payment's or refund's number.
  private var firstSent: [String: Int64] = [:]
  /// When the calls that are under way left, by what they are about and their number.
  private var underWay: [String: [Int: Int64]] = [:]
  private var longestLag: Int64 = 0

  init(_ world: World, isTold: Bool) {
    self.world = world
    stories = Stories(isTold: isTold)
  }

  func fail(_ rule: String, _ detail: String, _ order: OrderID? = nil) {
    guard violation == nil else { return }
    violation = Violation(rule: rule, detail: detail, order: order)
    tell(order, "VIOLATION \(rule): \(detail)")
  }

  func hold(_ holds: Bool, _ rule: String, _ detail: @autoclosure () -> String, _ order: OrderID) {
    if !holds { fail(rule, detail(), order) }
  }

  private func tell(_ order: OrderID?, _ text: @autoclosure () -> String) {
    stories.add(order, at: world.clock.now, text)
  }

  // MARK: What is asked and answered

  func registered(_ order: Order) {
    told[order.id, default: Told(number: order.number)].registration = order.registration
    let (amount, end) = (order.registration.amount.text, order.expiresAt.milliseconds)
    tell(order.id, "the shop is told of order \(order.id.text), \(amount), until \(end)")
  }

  /// The shop asked for the order's close, and was answered.
  func closed(_ order: Order) {
    guard order.status == .closed else { return }
    told[order.id, default: Told(number: order.number)].isClosed = true
    tell(order.id, "the shop is told that it is closed")
  }

  func asks(_ order: OrderID) { longestLag = max(longestLag, Int64(world.weather.longestLag)) }

  /// - Parameter key: that of the request which was answered with this payment; `nil` where it was only looked at.
  func told(_ id: PaymentID, of order: Order, under key: IdempotencyKey?) {
    guard let payment = order.payment(id) else {
      return fail("7: same request, same result", "answered with a payment that the order does not have", order.id)
    }
    tell(
      order.id,
      "a buyer is told that \(id.text) is \(payment.status.rawValue)\(payment.surplus.map { ", surplus \($0)" } ?? "")")
    if let key {
      let before = told[order.id, default: Told(number: order.number)].keys.updateValue(id, forKey: key)
      hold(before == nil || before == id, "7: same request, same result", "a key led to two payments", order.id)
    }
    if payment.status == .succeeded { told[order.id, default: Told(number: order.number)].succeeded.insert(id) }
    guard payment.status == .failed || payment.status == .closed, isKnown(payment, order) else { return }
    for charge in bank(of: payment).charges(of: order.number(of: id)) {
      switch charge.state.status {
      case .open:
        hold(
          payment.isWatched || !charge.isShown, "4: no guessing",
          "\(id.text) is called \(payment.status.rawValue), and the provider still takes money for it", order.id)
      case .captured:
        hold(
          payment.isWatched || charge.isLate || payment.updatedAt.milliseconds <= charge.capturedAt ?? 0,
          "4: no guessing", "\(id.text) is called \(payment.status.rawValue), and its money was taken before", order.id)
      case .closed, .declined: break
      }
    }
  }

  /// Somebody waited on a node that was there all the time.
  /// - Parameters:
  ///   - time: for how many milliseconds.
  ///   - limit: how many it was to be at most.
  ///   - isMet: whether what was waited for had come.
  func waited(_ time: Int64, limit: Int, isMet: Bool, _ order: OrderID) {
    world.tally.waits += 1
    // Deadlines are looked at ten times a second.
    hold(time <= Int64(limit) + 200, "10: it ends", "a wait of at most \(limit) ms took \(time) ms", order)
    hold(isMet || time >= Int64(limit), "a wait", "it ended after \(time) of \(limit) ms, for nothing", order)
  }

  func toldRefund(_ id: RefundID, of payment: PaymentID, in order: Order, under key: IdempotencyKey) {
    let before = told[id.order, default: Told(number: order.number)].refunds.updateValue(
      id, forKey: RefundKey(payment: payment, key: key))
    hold(before == nil || before == id, "7: same request, same result", "a key led to two refunds", id.order)
  }

  private func settledOutside(_ item: Case) {
    guard let payment = item.payment else { return }
    // A stray's order is named by its number.
    let number = world.store[payment.order]?.number ?? OrderNumber(bits: payment.order.bits)
    outside[PaymentNumber(order: number, ordinal: payment.ordinal), default: 0] += item.amount.amount
    tell(ids[number], "an operator says that \(item.amount.text) of \(payment.text) went back by other means")
  }

  // MARK: What is committed

  func committed(_ changes: Changeset) {
    for stray in changes.strays where stray.choice == .settledOutside { settledOutside(stray) }
    for change in changes.orders {
      for (old, new) in zip(change.before?.cases ?? [], change.after.cases)
      where old.resolvedAt == nil && new.choice == .settledOutside { settledOutside(new) }
      let order = change.after
      ids[order.number] = order.id
      stories.begin(order)
      hold(order.payments.count(where: \.isLive) <= 1, "1: one live payment", "two are live", order.id)
      hold(order.payments.count(where: \.isKept) <= 1, "2: one kept payment", "two are kept", order.id)
      hold(
        (order.status == .paid) == (order.keptPayment != nil), "2: one kept payment", "paid is having one", order.id)
      if let before = change.before {
        hold(
          before.status != .paid || order.status == .paid, "6: money is never lost from sight", "paid changed back",
          order.id)
        // Two clocks have a part in a deadline: each may be off by as much as is tolerated.
        let tolerance = 2 * world.limits.schedule.clockTolerance.wholeMilliseconds
        hold(
          before.status != .open || order.closeReason != .expired
            || before.expiresAt.milliseconds <= world.clock.now + tolerance, "10: it ends",
          "its time is over too early", order.id)
        hold(
          before.closeReason != .cancelled || order.closeReason == .cancelled, "6: money is never lost from sight",
          "an order that its shop closed took money", order.id)
      }
      hold(
        order.status != .paid || !(told[order.id]?.isClosed ?? false) || forgotten.contains(order.number),
        "8: what was acknowledged stays", "it is paid after its shop was told that it is closed", order.id)
      hold(
        order.updatedAt.milliseconds <= world.clock.now + world.limits.schedule.leaseMargin.wholeMilliseconds,
        "10: it ends", "it was changed in the future", order.id)
      for (old, new) in zip(change.before?.payments ?? [], order.payments) where old.status == .succeeded {
        hold(
          new.status == .succeeded && new.received == old.received && new.surplus == old.surplus,
          "6: money is never lost from sight", "\(new.id.text) succeeded and changed", order.id)
      }
      for (index, payment) in order.payments.enumerated() {
        hold(
          payment.received == nil || payment.received!.amount >= Self.onItsWay(order, payment)
            || order.refunds.contains { $0.payment == payment.id && $0.number == nil }
            || order.cases.contains { $0.payment == payment.id && $0.refund != nil && $0.reason == .wrongAmount },
          "6: exactly once",
          "more of \(payment.id.text) is on its way back than came", order.id)
        hold(
          payment.id == PaymentID(order: order.id, ordinal: index + 1), "3: one provider object per payment",
          "\(payment.id.text) is not the order's number \(index + 1)", order.id)
      }
    }
    for (order, event) in changes.events { tell(order.id, "\(event.type.rawValue) \(event.data.text)") }
    world.tally.events += changes.events.count
  }

  /// What went back of a payment or may yet, counted anew: the order's own sum is what is to be checked.
  private static func onItsWay(_ order: Order, _ payment: Payment) -> Int64 {
    order.refunds.reduce(0) { $1.payment == payment.id && $1.status != .failed ? $0 + $1.amount.amount : $0 }
  }

  /// A guard of the store stopped what nobody should have tried to write.
  func guarded(_ changes: Changeset) {
    fail("1, 2, 7: the store's guards", "a guard had to stop a decision", changes.orders.first?.after.id)
  }

  // MARK: What leaves for a provider

  func leaves(_ call: Call, from provider: SimulatedProvider) {
    tell(
      call.payment.order, "\(call.kind.rawValue) of \(call.subject.text) leaves for \(call.provider.text)")
    let stored = world.store[call.payment.order]
    let isIntended =
      if let refund = call.refund {
        stored?.refund(refund.id)?.calls.made ?? 0 >= call.number
      } else {
        stored?.payment(call.payment)?.calls.made ?? 0 >= call.number
      }
    hold(isIntended, "5: intent before action", "\(call.kind.rawValue) left before it was stored", call.payment.order)
    let now = world.clock.now
    let subject = call.subject.text
    // Two queries at once are no harm, and happen where an answer in flight is too old to be waited for.
    guard call.kind == .charge || call.kind == .refund else { return }
    if let since = underWay[subject]?.values.max() {
      // A node that froze in the middle of a call may still be in it when its lease has long lapsed.
      hold(
        now - since > 30_000, "5: intent before action", "two calls of \(subject) are under way at once",
        call.payment.order)
    }
    underWay[subject, default: [:]][call.number] = now
    if call.kind == .charge, opened.insert(call.payment).inserted, let stored,
      let payment = stored.payment(call.payment)
    {
      opens(payment, of: stored)
    }
  }

  /// A call is really on its way: it may arrive, whatever becomes of its answer.
  func goes(_ call: Call, to kind: BankKind) {
    guard call.kind == .charge || call.kind == .refund else { return }
    let (now, subject) = (world.clock.now, call.subject.text)
    let first = firstSent[subject, default: now]
    firstSent[subject] = first
    hold(
      kind.keyLife.map { now - first < $0 } ?? true, "3: one provider object per payment",
      "\(subject) was sent again after its key was forgotten", call.payment.order)
  }

  /// A call came to its end, or its node did.
  func ends(_ call: Call) {
    underWay[call.subject.text]?[call.number] = nil
  }

  /// A charge is asked for the first time: whatever was started before must be out of the way, as far as anybody can know.
  private func opens(_ payment: Payment, of order: Order) {
    let waited = payment.waitedUntil.milliseconds
    for other in order.payments
    where other.id != payment.id && other.status != .succeeded && isKnown(other, order) {
      for charge in bank(of: other).charges(of: order.number(of: other.id)) {
        let seenSince = Int64(5000) + longestLag
        switch charge.state.status {
        case .open where other.provider == BankKind.alipay.name:
          hold(
            charge.begunAt.map { $0 + seenSince > waited } ?? true, "1: one live payment",
            "\(payment.id.text) was sent while a buyer was paying \(other.id.text)", order.id)
        // A code or a secret that nobody was shown pays nothing.
        case .open where charge.isShown || other.provider == BankKind.sandbox.name:
          fail("1: one live payment", "\(payment.id.text) was sent while \(other.id.text) could be paid", order.id)
        case .captured:
          hold(
            charge.capturedAt! + seenSince > waited, "1: one live payment",
            "\(payment.id.text) was sent although \(other.id.text) had long been paid", order.id)
        case .open, .closed, .declined: break
        }
      }
    }
  }

  func captured(_ charge: Charge) {
    world.tally.captures += 1
    stories.add(charge.trade.order, at: world.clock.now) {
      "THE BANK TAKES \(charge.state.captured!.text) for \(charge.trade.text)\(charge.isLate ? ", after its close" : "")"
    }
  }

  // MARK: What the store forgets

  func forgets(_ before: SimulatedStore.Contents, comesBackAs after: SimulatedStore.Contents) {
    for (id, order) in before.orders where after.orders[id] != order {
      forgotten.insert(order.number)
      told[id] = nil
      tell(id, "THE STORE FORGETS what was committed of this order since its snapshot")
    }
    let ids = Set(before.orders.values.filter { forgotten.contains($0.number) }.map(\.id))
    opened = opened.filter { !ids.contains($0.order) }
    let texts = Set(ids.map { $0.text.dropFirst(4) })
    firstSent = firstSent.filter { !texts.contains($0.key.dropFirst(4).dropLast(2)) }
  }

  /// Of one that was ended before it was sent the store may have forgotten that it was sent: that finds an operator.
  func isKnown(_ payment: Payment, _ order: Order) -> Bool {
    payment.mayHaveLeft || !forgotten.contains(order.number)
  }

  func bank(of payment: Payment) -> SimulatedBank {
    world.banks.first { $0.kind.name == payment.provider }!
  }
}

extension Payment {
  /// Until when its charge waited, from its start or since it was put off: whatever was started before it is asked about
  /// from that moment on.
  var waitedUntil: Instant { max(createdAt, calls.nextAt ?? createdAt) }
}
