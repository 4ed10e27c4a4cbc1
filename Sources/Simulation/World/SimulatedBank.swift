import PaymentCore

/// A provider's books, which alone say what was really charged: everything else may be lost, this is not.
final class SimulatedBank: @unchecked Sendable {
  // A world runs on one thread; see `SeededExecutor`.
  let kind: BankKind
  private unowned let world: World
  private(set) var charges: [Charge] = []
  /// The charges of each trade number: more than one only where a key was forgotten.
  private var byTrade: [PaymentNumber: [Int]] = [:]

  init(_ kind: BankKind, in world: World) {
    self.kind = kind
    self.world = world
  }

  /// Every trade number of an order with its charges, in order.
  func all(of order: OrderNumber) -> [(trade: PaymentNumber, charges: [Charge])] {
    byTrade.keys.filter { $0.order == order }.sorted { $0.ordinal < $1.ordinal }.map { ($0, charges(of: $0)) }
  }

  func charges(of trade: PaymentNumber) -> [Charge] { byTrade[trade, default: []].map { charges[$0] } }

  // MARK: What a client asks

  enum Request {
    case create(Call)
    case query(PaymentNumber)
    case close(PaymentNumber)
    case refund(RefundNumber, of: PaymentNumber, Money)
    case queryRefund(RefundNumber, of: PaymentNumber)

    var trade: PaymentNumber {
      switch self {
      case .create(let call): call.tradeNumber
      case .query(let trade), .close(let trade), .refund(_, let trade, _), .queryRefund(_, let trade): trade
      }
    }
  }

  enum Answer {
    case charge(Charge.State)
    case notFound
    case softlyClosed
    case refused(code: String)
    case refund(isDone: Bool, Money)
  }

  /// - Parameter lag: how old what a query sees is, in milliseconds.
  func handle(_ request: Request, lag: Int64 = 0) -> Answer {
    for charge in charges(of: request.trade) { settle(charge) }
    switch request {
    case .create(let call): return create(call)
    case .query(let trade): return query(trade, lag)
    case .close(let trade): return close(trade)
    case .refund(let number, let trade, let amount): return refund(number, trade, amount)
    case .queryRefund(let number, let trade):
      for charge in charges(of: trade) {
        if let refund = charge.refunds.last(where: { $0.number == number }) {
          return .refund(isDone: !refund.isTakenBack, refund.amount)
        }
      }
      return .notFound
    }
  }

  private func create(_ call: Call) -> Answer {
    if let charge = charges(of: call.tradeNumber).last,
      kind.keyLife.map({ world.clock.now - charge.createdAt < $0 }) ?? true
    {
      if charge.method == Charge.unknownMethod { return .charge(charge.state) }
      guard charge.amount == call.amount, charge.method == call.method else {
        return .refused(code: "content_mismatch")
      }
      // An identical repeat after the expiry is refused; what became of the first says a query.
      if kind == .wechat, charge.state.status != .open { return .refused(code: "trade_over") }
      return .charge(charge.state)
    }
    if kind == .wechat, world.clock.now >= call.expiresAt.milliseconds { return .refused(code: "trade_over") }
    let charge = add(call.tradeNumber, call.amount, call.method, expiresAt: call.expiresAt.milliseconds)
    switch charge.method {
    case "ok": capture(charge)
    case "declined": set(charge, .declined)
    case "slow": world.clock.after(3000) { [unowned self] in if charge.state.status == .open { capture(charge) } }
    default: break
    }
    return .charge(charge.state)
  }

  private func add(_ trade: PaymentNumber, _ amount: Money, _ method: String, expiresAt: Int64) -> Charge {
    let charge = Charge(
      number: charges.count, trade: trade, amount: amount, method: method, createdAt: world.clock.now,
      expiresAt: kind == .stripe ? .max : expiresAt)
    byTrade[trade, default: []].append(charges.count)
    charges.append(charge)
    return charge
  }

  private func query(_ trade: PaymentNumber, _ lag: Int64) -> Answer {
    let moment = world.clock.now - lag
    // Where a key was forgotten there may be several: what matters most is told.
    let seen = charges(of: trade).filter { $0.createdAt <= moment }.map { $0.state(at: moment) }
    guard let state = seen.max(by: { $0.status.rawValue < $1.status.rawValue }) else { return .notFound }
    // Before a code is scanned there is no trade.
    if kind == .alipay, state.status == .open || state.status == .closed, !state.isBegun { return .notFound }
    return .charge(state)
  }

  private func close(_ trade: PaymentNumber) -> Answer {
    let mine = charges(of: trade)
    guard !mine.isEmpty else {
      switch kind {
      case .sandbox:
        set(add(trade, Money(1, Currency(code: "CNY")!), Charge.unknownMethod, expiresAt: .max), .closed)
        return .charge(charges.last!.state)
      case .stripe, .alipay, .wechat: return .softlyClosed
      }
    }
    if let paid = mine.first(where: { $0.state.status == .captured }) { return .charge(paid.state) }
    for charge in mine where charge.state.status == .open {
      if kind == .alipay, !charge.state.isBegun { return .softlyClosed }
      shut(charge)
    }
    return .charge(mine.last!.state)
  }

  /// The charge can take no money any more, as far as its provider knows.
  private func shut(_ charge: Charge) {
    set(charge, .closed)
    let isLate =
      switch kind {
      case .sandbox:
        charge.method == "late" || (charge.method != "ok" && world.dice.happens(world.weather.succeedsLate))
      case .wechat: charge.state.isBegun && world.dice.happens(world.weather.succeedsLate)
      case .stripe, .alipay: false
      }
    guard isLate else { return }
    world.clock.after(world.dice.within(2000...kind.lateness - 2000)) { [unowned self] in
      if charge.state.status == .closed {
        charge.isLate = true
        world.tally.lateSuccesses += 1
        capture(charge)
      }
    }
  }

  /// What time alone does.
  private func settle(_ charge: Charge) {
    guard charge.state.status == .open, world.clock.now >= charge.expiresAt else { return }
    shut(charge)
  }

  // MARK: What buyers do there

  enum Move { case begin, pay, decline }

  /// - Parameter number: the charge that the buyer's page, code or secret is for.
  func act(_ number: Int, _ move: Move) {
    guard charges.indices.contains(number) else { return }
    let charge = charges[number]
    settle(charge)
    guard charge.state.status == .open else { return }
    charge.state.isBegun = true
    charge.begunAt = charge.begunAt ?? world.clock.now
    switch move {
    case .begin: set(charge, .open)
    case .pay: capture(charge)
    case .decline where kind == .sandbox: set(charge, .declined)
    // The buyer still holds the secret or the code.
    case .decline:
      charge.state.isDeclined = true
      set(charge, .open)
    }
  }

  private func capture(_ charge: Charge) {
    let isWrong = world.dice.happens(world.weather.takesWrongAmount)
    charge.state.captured = Money(charge.amount.amount + (isWrong ? 1 : 0), charge.amount.currency)
    charge.capturedAt = world.clock.now
    charge.state.capturedAt = world.clock.instant
    set(charge, .captured)
    world.auditor.captured(charge)
    if world.dice.happens(world.weather.returnsByItself) {
      world.clock.after(world.dice.within(1000...600_000)) { [unowned self] in giveBack(charge) }
    }
  }

  private func set(_ charge: Charge, _ status: Charge.Status) {
    charge.state.status = status
    charge.history.append((world.clock.now, charge.state))
    world.notify(charge, from: self, isCertain: !charge.state.returns.isEmpty)
  }

  // MARK: Money going back

  private func refund(_ number: RefundNumber, _ trade: PaymentNumber, _ amount: Money) -> Answer {
    guard let charge = charges(of: trade).first(where: { $0.state.status == .captured }) else {
      return .refused(code: "not_paid")
    }
    if let known = charge.refunds.last(where: { $0.number == number }),
      kind.keyLife.map({ world.clock.now - known.at < $0 }) ?? true
    {
      return known.amount == amount
        ? .refund(isDone: !known.isTakenBack, known.amount) : .refused(code: "content_mismatch")
    }
    guard amount.currency == charge.amount.currency, amount.amount <= charge.kept else {
      return .refused(code: "exceeds_charge")
    }
    charge.refunds.append(Charge.Refund(number: number, amount: amount, at: world.clock.now))
    charge.listRefunds(now: world.clock.now)
    if world.dice.happens(world.weather.takesRefundBack) {
      let index = charge.refunds.count - 1
      world.clock.after(world.dice.within(1000...3_600_000)) { [unowned self] in takeBack(charge, index) }
    }
    return .refund(isDone: true, amount)
  }

  private func takeBack(_ charge: Charge, _ index: Int) {
    charge.refunds[index].isTakenBack = true
    charge.listRefunds(now: world.clock.now)
    world.tally.refundsTakenBack += 1
    world.notifyFailedRefund(charge.refunds[index].number, of: charge.trade, from: self)
  }

  /// Somebody returns money at the provider's own dashboard, or the buyer disputes.
  private func giveBack(_ charge: Charge) {
    guard charge.kept > 0 else { return }
    let amount = Money(Int64(world.dice.within(1...Int(charge.kept))), charge.amount.currency)
    charge.state.returns.append(
      .init(
        reference: "own-\(charge.number)-\(charge.state.returns.count)", amount: amount,
        isDispute: world.dice.happens(300)))
    world.tally.returnedByProviders += 1
    set(charge, .captured)
  }
}

/// One object of a provider that can take money once.
final class Charge {
  enum Status: Int { case declined, closed, open, captured }

  struct State {
    var status = Status.open
    /// The buyer has scanned the code, or opened the page.
    var isBegun = false
    /// A try was declined, and the buyer may try again.
    var isDeclined = false
    var captured: Money?
    var capturedAt: Instant?
    /// What the provider gave back by itself.
    var returns: [PaymentEvidence.Return] = []
    /// What it returned since it was asked to.
    var refunds: [PaymentEvidence.Return] = []
    let number: Int

    func listed(by kind: BankKind) -> [PaymentEvidence.Return] { kind.listsRefunds ? returns + refunds : returns }
  }
  struct Refund {
    let number: RefundNumber
    let amount: Money
    let at: Int64
    var isTakenBack = false
  }

  let number: Int
  let trade: PaymentNumber
  let amount: Money
  let method: String
  let createdAt: Int64
  let expiresAt: Int64
  var state: State
  var history: [(at: Int64, state: State)]
  var capturedAt: Int64?
  var begunAt: Int64?
  /// A buyer has its page, code or secret.
  var isShown = false
  /// It took the money after its close was confirmed.
  var isLate = false
  var refunds: [Refund] = []

  /// That of a number which was closed before anybody created it.
  static let unknownMethod = "unknown"

  init(number: Int, trade: PaymentNumber, amount: Money, method: String, createdAt: Int64, expiresAt: Int64) {
    self.number = number
    self.trade = trade
    self.amount = amount
    self.method = method
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    state = State(number: number)
    history = [(createdAt, state)]
  }

  /// How it stood then.
  func state(at moment: Int64) -> State { history.last { $0.at <= moment }?.state ?? history[0].state }

  fileprivate func listRefunds(now: Int64) {
    state.refunds = refunds.filter { !$0.isTakenBack }.map {
      .init(reference: $0.number.text, number: $0.number, amount: $0.amount, isDispute: false)
    }
    history.append((now, state))
  }

  /// What PayOnce asked to be returned, and was.
  var refunded: Int64 { refunds.filter { !$0.isTakenBack }.reduce(0) { $0 + $1.amount.amount } }

  /// What its provider took and did not give back, in minor units.
  var kept: Int64 {
    (state.captured?.amount ?? 0) - refunded - state.returns.reduce(0) { $0 + $1.amount.amount }
  }
}
