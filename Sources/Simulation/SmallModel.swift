import PaymentCore

/// The attempt protocol, checked to the end: one order, two payments, and every order in which what can happen may
/// happen. Where a `World` throws dice, this one goes every way, over the same `decide`.
///
/// States that differ only in how long ago something was, as far as nobody asks about it any more, are one state; so
/// there is no bound on time.
package struct SmallModel {
  package struct Report: Sendable {
    package let name: String
    package fileprivate(set) var states = 0
    package fileprivate(set) var steps = 0
    /// What broke, and the shortest way there.
    package fileprivate(set) var violation: String?
    package fileprivate(set) var story: [String] = []

    /// For people.
    package var text: String {
      let head = "\(name): \(states) states, \(steps) steps"
      guard let violation else { return head }
      return ([head, "BROKEN: \(violation)", ""] + story).joined(separator: "\n")
    }
  }

  /// The kinds of provider that are checked: each kind of bank, and those with late money also without it.
  package static let names = BankKind.allCases.map(\.rawValue) + ["sandbox, never late"]

  private let name: String
  private let bank: ModelBank
  private let rules: Rules
  private let faults: Int
  private let mostStates: Int

  /// - Parameters:
  ///   - name: one of `names`.
  ///   - faults: how many there may be on one way: a time-out, a refused connection, a request that arrives twice, an
  ///     error that means nothing, a node that dies or freezes.
  ///   - mostStates: where it gives up, and says so as a violation.
  package init(_ name: String, faults: Int, mostStates: Int = 50_000_000) {
    self.name = name
    self.faults = faults
    self.mostStates = mostStates
    let isNeverLate = name != "sandbox" && BankKind(rawValue: name) == nil
    let kind = BankKind(rawValue: name) ?? .sandbox
    bank = ModelBank(kind: kind, isEverLate: !isNeverLate && !kind.sheet.lateMoney.isEmpty)
    let sheet = kind.sheet
    // As the bank's own sheet, in seconds instead of hours: a second is the model's unit of time.
    let short = CapabilitySheet(
      methods: ["any"], repeatWindow: sheet.repeatWindow.map { _ in .seconds(6) },
      createMovesMoney: sheet.createMovesMoney, absence: sheet.absence, burning: sheet.burning,
      finalRejections: sheet.finalRejections,
      lateMoney: bank.isEverLate ? ["any": .seconds(ModelBank.lateness)] : [:])
    var rules = Rules(sheets: [kind.name: short], enabled: [kind.name])
    rules.schedule.callTimeout = .seconds(1)
    rules.schedule.leaseMargin = .seconds(1)
    rules.schedule.queries = [.seconds(1)]
    rules.schedule.jitterPercent = 0
    rules.schedule.watchMargin = .seconds(1)
    self.rules = rules
  }

  // MARK: The search

  private struct Parent {
    /// `nil` for that of the start.
    let state: [UInt8]?
    let action: Int
  }

  /// Visits every state, nearest first, until one breaks a rule.
  package func check() -> Report {
    var report = Report(name: name)
    let start = ModelState(rules, faults)
    var layer = [start]
    var parents = [start.key(rules): Parent(state: nil, action: 0)]
    var calm: Set<[UInt8]> = []
    while !layer.isEmpty, !Task.isCancelled {
      var next: [ModelState] = []
      for state in layer {
        let here = state.key(rules)
        for (index, action) in state.actions(bank).enumerated() {
          var after = state
          var broken = after.take(action, bank, rules)
          report.steps += 1
          let there = after.key(rules)
          let isNew = parents[there] == nil
          if isNew {
            parents[there] = Parent(state: here, action: index)
            broken = broken ?? after.broken(bank, rules) ?? after.brokenInTheCalm(bank, rules, &calm)
            if parents.count > mostStates { broken = "more than \(mostStates) states" }
            next.append(after)
          }
          if let broken {
            report.states = parents.count
            report.violation = broken
            report.story = story(to: here, then: action, parents)
            return report
          }
        }
      }
      layer = next
    }
    report.states = parents.count
    return report
  }

  /// Checks every kind, `width` at the same time, until one breaks a rule.
  /// - Parameter finished: hears of each when it is done.
  package static func checkAll(faults: Int, width: Int, finished: (Report) -> Void) async {
    await withTaskGroup(of: Report.self) { group in
      var rest = names[...]
      for _ in 0..<width {
        if let name = rest.popFirst() { group.addTask { SmallModel(name, faults: faults).check() } }
      }
      for await report in group {
        finished(report)
        guard report.violation == nil else { return group.cancelAll() }
        if let name = rest.popFirst() { group.addTask { SmallModel(name, faults: faults).check() } }
      }
    }
  }

  /// The way to a state, told by walking it again.
  private func story(to end: [UInt8], then last: ModelState.Action, _ parents: [[UInt8]: Parent]) -> [String] {
    var way: [Int] = []
    var here = end
    while let parent = parents[here], let before = parent.state {
      way.append(parent.action)
      here = before
    }
    var state = ModelState(rules, faults)
    var story: [String] = []
    for index in way.reversed() {
      let action = state.actions(bank)[index]
      story.append(state.told(action))
      _ = state.take(action, bank, rules)
    }
    return story + [state.told(last)]
  }
}

// MARK: - The bank

/// What a provider of a kind makes of a request, and what may happen there by itself.
struct ModelBank {
  let kind: BankKind
  /// Whether closed charges may still take money for a while.
  let isEverLate: Bool

  /// For how many seconds after the one of its close.
  static let lateness: Int64 = 0

  /// A charge in the books. Only what decides about what can happen.
  struct Charge {
    enum Status: CaseIterable { case open, declined, closed, captured }
    var status = Status.open
    var isBegun: Bool { begunAt != nil }
    /// A buyer may have seen what to pay with.
    var isShown = false
    /// Whether a close found it, not an unknown number.
    var isReal = true
    /// The seconds in which it was scanned, closed, and took money.
    var begunAt: Int64?
    var closedAt: Int64?
    var capturedAt: Int64?

    /// Every status that it ever had: a notice of any of them may still be on its way.
    var past: [Status] {
      [.open] + (closedAt != nil ? [.closed] : []) + (status == .captured || status == .declined ? [status] : [])
    }
  }

  enum Answer {
    case payment(PaymentEvidence.Verdict)
    case refund(RefundEvidence.Verdict)
  }

  /// What a create can lead to that nobody determines.
  var creations: [Charge.Status] { kind.sheet.createMovesMoney ? [.captured, .open, .declined] : [.open] }

  func verdict(_ status: Charge.Status) -> PaymentEvidence.Verdict {
    switch status {
    case .open: .pending(.qrCode(content: "pay here"))
    case .declined: .failed(Failure(code: "declined", message: ""))
    case .closed: .closed
    case .captured: .succeeded(ModelState.price)
    }
  }

  /// What is told of a charge to whoever asks.
  func found(_ charge: Charge?) -> PaymentEvidence.Verdict {
    guard let charge else { return .notFound }
    if kind == .alipay, !charge.isBegun, charge.status == .open || charge.status == .closed { return .notFound }
    return verdict(charge.status)
  }

  /// - Parameter isOver: whether the moment until which the charge may be paid has passed.
  func create(
    _ charge: inout Charge?, _ outcome: Charge.Status, isOver: Bool, _ now: Int64
  ) -> PaymentEvidence.Verdict {
    if let known = charge {
      if kind == .wechat, known.status != .open { return .rejected(Failure(code: "trade_over", message: "")) }
      return verdict(known.status)
    }
    var new = Charge()
    new.status = isOver ? .closed : outcome
    if new.status == .closed { new.closedAt = now }
    if new.status == .captured { new.capturedAt = now }
    charge = new
    return verdict(new.status)
  }

  func close(_ charge: inout Charge?, _ now: Int64) -> PaymentEvidence.Verdict {
    guard var known = charge else {
      switch kind {
      case .sandbox:
        var burnt = Charge(closedAt: now)
        burnt.status = .closed
        burnt.isReal = false
        charge = burnt
        return .closed
      case .stripe, .alipay: return .closedSoftly
      case .wechat: return .rejected(Failure(code: "trade_not_exist", message: ""))
      }
    }
    guard known.status == .open else { return verdict(known.status) }
    if kind == .alipay, !known.isBegun { return .closedSoftly }
    known.status = .closed
    known.closedAt = now
    charge = known
    return .closed
  }

  /// Whether an open charge can take money without anybody showing it to a buyer first.
  func canBePaid(_ charge: Charge) -> Bool {
    charge.status == .open && (kind.sheet.createMovesMoney || charge.isShown)
  }

  func canBeLate(_ charge: Charge, _ now: Int64) -> Bool {
    guard isEverLate, charge.isReal, charge.status == .closed, let closedAt = charge.closedAt else { return false }
    return now <= closedAt + Self.lateness
  }
}

// MARK: - The state

/// The order, the bank's books, and everything that is on its way between them.
struct ModelState {
  var order: Order
  /// Seconds.
  var now: Int64 = Self.start
  /// The bank's charge of each payment.
  var charges: [ModelBank.Charge?] = [nil, nil]
  /// The refunds that the bank made.
  var returned: Set<RefundID> = []
  var flights: [Flight] = []
  /// How many may still happen.
  var faults: Int

  /// A call, from its lease to the moment at which nobody waits for it and nothing of it can arrive.
  struct Flight {
    let kind: Call.Kind
    let number: Int
    let payment: PaymentID
    let refund: RefundID?
    /// The request has not arrived, and still may.
    var isUnderWay = true
    /// A node waits for the answer.
    var isAwaited = true
    var answer: ModelBank.Answer?
    /// The second in which it was leased.
    let leasedAt: Int64
    var isFrozen = false
  }

  static let start: Int64 = 1_795_000_000
  static let price = Money(1999, Currency(code: "CNY")!)
  private static let merchant = MerchantID("mer_shop")
  private static let life: Int64 = 2
  private static let keys = [IdempotencyKey("a")!, IdempotencyKey("b")!]

  init(_ rules: Rules, _ faults: Int) {
    self.faults = faults
    let start = Instant(milliseconds: Self.start * 1000)
    let registration = Order.Registration(
      merchant: Self.merchant, reference: "r", amount: Self.price, expiresIn: Self.life)
    let id = OrderID(at: start, merchant: Self.merchant, reference: "r", random: 7)
    let command = Command.register(registration, id: id, checkoutSecret: 1)
    order = decide(nil, command, now: start, rules: rules).order!
  }

  private var instant: Instant { Instant(milliseconds: now * 1000) }

  // MARK: What can happen

  enum Action {
    case pay(Int)
    case closePayment(PaymentID)
    case closeOrder
    /// The request comes to the bank; a create has an outcome. `isDoubled`: once more, later.
    case arrive(Int, ModelBank.Charge.Status, isDoubled: Bool)
    case answer(Int)
    case giveUp(Int)
    case refuseConnection(Int)
    case lie(Int)
    case lose(Int)
    case crash
    case freeze(Int)
    /// What a buyer does at the bank, or the bank by itself.
    case begin(Int)
    case capture(Int)
    case notice(Int, ModelBank.Charge.Status)
    case second
  }

  /// An action in words, as long as it was not taken.
  func told(_ action: Action) -> String {
    func name(_ index: Int) -> String {
      let flight = flights[index]
      return "\(flight.kind.rawValue) \(flight.number) of \(flight.refund?.text ?? flight.payment.text)"
    }
    switch action {
    case .pay(let key): return "somebody pays with key \(key + 1)"
    case .closePayment(let id): return "the close of \(id.text) is asked for"
    case .closeOrder: return "the shop closes the order"
    case .arrive(let index, let outcome, let isDoubled):
      let isNew = flights[index].kind == .charge && charges[flights[index].payment.ordinal - 1] == nil
      return "\(name(index)) arrives\(isNew ? " and is \(outcome)" : "")\(isDoubled ? ", and will once more" : "")"
    case .answer(let index): return "\(name(index)) is answered"
    case .giveUp(let index): return "\(name(index)) has no answer in time"
    case .refuseConnection(let index): return "\(name(index)) never leaves: the connection is refused"
    case .lie(let index): return "\(name(index)) is answered with an error that means nothing"
    case .lose(let index): return "\(name(index)) will never arrive"
    case .crash: return "the node dies with all that it has under way"
    case .freeze(let index): return "the node stops while it waits for \(name(index))"
    case .begin(let index): return "a buyer scans the code of payment \(index + 1)"
    case .capture(let index): return "THE BANK TAKES MONEY for payment \(index + 1)"
    case .notice(let index, let status): return "a notice says that payment \(index + 1) is \(status)"
    case .second: return "a second passes"
    }
  }

  func actions(_ bank: ModelBank) -> [Action] {
    var actions: [Action] = []
    if order.payments.count < 2 { actions += [.pay(order.payments.count)] }
    if order.status == .open || order.status == .closing { actions.append(.closeOrder) }
    if let live = order.livePayment, live.closeRequestedAt == nil { actions.append(.closePayment(live.id)) }
    for (index, flight) in flights.enumerated() {
      if flight.isUnderWay {
        let isNew = flight.kind == .charge && charges[flight.payment.ordinal - 1] == nil
        for outcome in isNew ? bank.creations : [.open] {
          actions.append(.arrive(index, outcome, isDoubled: false))
          if faults > 0 { actions.append(.arrive(index, outcome, isDoubled: true)) }
        }
      }
      if flight.isAwaited {
        if flight.answer != nil { actions.append(.answer(index)) }
        if faults > 0 {
          actions.append(.giveUp(index))
          if flight.isUnderWay, flight.answer == nil { actions.append(.refuseConnection(index)) }
          if flight.answer == nil { actions.append(.lie(index)) }
          if !flight.isFrozen { actions.append(.freeze(index)) }
        }
      } else {
        actions.append(.lose(index))
      }
    }
    if faults > 0, flights.contains(where: \.isAwaited) { actions.append(.crash) }
    for (index, charge) in charges.enumerated() {
      guard let charge else { continue }
      if charge.status == .open {
        if bank.kind == .alipay, !charge.isBegun, charge.isShown { actions.append(.begin(index)) }
        if bank.canBePaid(charge) { actions.append(.capture(index)) }
      } else if bank.canBeLate(charge, now) {
        actions.append(.capture(index))
      }
      if charge.isReal { actions += charge.past.map { .notice(index, $0) } }
    }
    // A node waits for an answer as long as the time-out says, and no longer, unless it is frozen.
    if flights.allSatisfy({ !$0.isAwaited || $0.isFrozen || $0.leasedAt == now }) { actions.append(.second) }
    return actions
  }

  /// - Returns: the rule that the action broke, if it did.
  mutating func take(_ action: Action, _ bank: ModelBank, _ rules: Rules) -> String? {
    let broken = act(action, bank, rules)
    for index in order.payments.indices where order.payments[index].action != nil { charges[index]?.isShown = true }
    return broken
  }

  private mutating func act(_ action: Action, _ bank: ModelBank, _ rules: Rules) -> String? {
    switch action {
    case .pay(let key):
      return send(
        .pay(order.id, key: Self.keys[key], provider: bank.kind.name, method: nil), bank, rules)
    case .closePayment(let id): return send(.closePayment(id), bank, rules)
    case .closeOrder: return send(.closeOrder(order.id), bank, rules)
    case .arrive(let index, let outcome, let isDoubled):
      arrive(index, outcome, bank)
      if isDoubled { faults -= 1 } else { flights[index].isUnderWay = false }
      dropDone()
      return nil
    case .answer(let index):
      let flight = flights[index]
      flights[index].isAwaited = false
      dropDone()
      return evidence(of: flight, flight.answer!, bank, rules)
    case .giveUp(let index):
      faults -= 1
      let flight = flights[index]
      flights[index].isAwaited = false
      dropDone()
      return evidence(of: flight, flight.refund == nil ? .payment(.unknown("")) : .refund(.unknown("")), bank, rules)
    case .refuseConnection(let index):
      faults -= 1
      let flight = flights.remove(at: index)
      return evidence(of: flight, flight.refund == nil ? .payment(.notSent) : .refund(.notSent), bank, rules)
    case .lie(let index):
      faults -= 1
      let flight = flights.remove(at: index)
      let failure = Failure(code: "try_later", message: "")
      return evidence(
        of: flight, flight.refund == nil ? .payment(.rejected(failure)) : .refund(.unknown("")), bank, rules)
    case .lose(let index):
      flights.remove(at: index)
      return nil
    case .crash:
      faults -= 1
      for index in flights.indices { flights[index].isAwaited = false }
      dropDone()
      return nil
    case .freeze(let index):
      faults -= 1
      flights[index].isFrozen = true
      return nil
    case .begin(let index):
      charges[index]!.begunAt = now
      return nil
    case .capture(let index):
      charges[index]!.begunAt = charges[index]!.begunAt ?? now
      charges[index]!.status = .captured
      charges[index]!.capturedAt = now
      return nil
    case .notice(let index, let status):
      let id = order.payments[index].id
      return send(
        .evidence(
          .payment(.init(payment: id, provider: bank.kind.name, call: nil, verdict: bank.verdict(status)))),
        bank, rules)
    case .second: return pass(bank, rules)
    }
  }

  private mutating func pass(_ bank: ModelBank, _ rules: Rules) -> String? {
    now += 1
    for index in order.payments.indices where charges[index]?.status == .open && isOver(index, bank) {
      charges[index]!.status = .closed
      charges[index]!.closedAt = now
    }
    guard let wake = order.wakeAt, wake <= instant else { return nil }
    return send(.wake(order.id), bank, rules)
  }

  /// Whether the bank closes the payment's charge by itself by now. Some never do.
  private func isOver(_ index: Int, _ bank: ModelBank) -> Bool {
    bank.kind != .stripe && instant >= order.payments[index].expiresAt
  }

  private mutating func dropDone() { flights.removeAll { !$0.isUnderWay && !$0.isAwaited } }

  private mutating func arrive(_ index: Int, _ outcome: ModelBank.Charge.Status, _ bank: ModelBank) {
    let flight = flights[index]
    let ordinal = flight.payment.ordinal - 1
    let answer: ModelBank.Answer
    switch flight.kind {
    case .charge:
      answer = .payment(bank.create(&charges[ordinal], outcome, isOver: isOver(ordinal, bank), now))
    case .query: answer = .payment(bank.found(charges[ordinal]))
    case .close: answer = .payment(bank.close(&charges[ordinal], now))
    case .refund:
      let canReturn = charges[ordinal]?.status == .captured
      if canReturn { returned.insert(flight.refund!) }
      answer = .refund(canReturn ? .succeeded(Self.price) : .refused(Failure(code: "exceeds_charge", message: "")))
    case .queryRefund: answer = .refund(returned.contains(flight.refund!) ? .succeeded(Self.price) : .notFound)
    }
    if flight.isAwaited, flight.answer == nil { flights[index].answer = answer }
  }

  private mutating func evidence(
    of flight: Flight, _ answer: ModelBank.Answer, _ bank: ModelBank, _ rules: Rules
  ) -> String? {
    let evidence: Evidence
    switch answer {
    case .payment(let verdict):
      evidence = .payment(
        .init(payment: flight.payment, provider: bank.kind.name, call: flight.number, verdict: verdict))
    case .refund(let verdict):
      evidence = .refund(
        .init(refund: flight.refund!, provider: bank.kind.name, call: flight.number, verdict: verdict))
    }
    return send(.evidence(evidence), bank, rules)
  }

  /// Decides, stores, and lets the calls leave that are due, as the journal does.
  private mutating func send(_ command: Command, _ bank: ModelBank, _ rules: Rules) -> String? {
    let before = order
    var after = decide(order, command, now: instant, rules: rules).order!
    var broken: String?
    for call in after.due(instant, rules: rules) {
      after.lease(call, now: instant, schedule: rules.schedule)
      flights.append(
        Flight(kind: call.kind, number: call.number, payment: call.payment.id, refund: call.refund?.id, leasedAt: now))
      if call.kind == .charge, before.payment(call.payment.id)?.mayHaveLeft != true {
        broken = broken ?? brokenByOpening(call.payment, bank)
      }
    }
    order = after
    for (old, new) in zip(before.payments, after.payments) where old.status == .succeeded {
      if new.status != .succeeded || new.surplus != old.surplus { broken = broken ?? "6: a success changed" }
    }
    return broken
  }

  // MARK: What must hold

  /// A charge is asked for the first time: what was started before must be out of the way.
  private func brokenByOpening(_ payment: Payment, _ bank: ModelBank) -> String? {
    for other in order.payments where other.id != payment.id {
      guard let charge = charges[other.id.ordinal - 1] else { continue }
      let since = payment.createdAt.milliseconds / 1000
      switch charge.status {
      // A code that nobody had scanned when it was asked about may be scanned right afterwards.
      case .open where bank.canBePaid(charge) && (bank.kind != .alipay || charge.begunAt.map { $0 < since } ?? false):
        return "1: \(payment.id.text) leaves while \(other.id.text) can be paid"
      case .captured where charge.capturedAt! < since:
        return "1: \(payment.id.text) leaves although \(other.id.text) had been paid"
      case .open, .captured, .declined, .closed: break
      }
    }
    return nil
  }

  func broken(_ bank: ModelBank, _ rules: Rules) -> String? {
    if order.payments.count(where: \.isLive) > 1 { return "1: two payments are live" }
    if order.payments.count(where: \.isKept) > 1 { return "2: two payments are kept" }
    if (order.status == .paid) != (order.keptPayment != nil) { return "2: paid is having a kept payment" }
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
  /// - Parameter visited: the states from which it does.
  func brokenInTheCalm(_ bank: ModelBank, _ rules: Rules, _ visited: inout Set<[UInt8]>) -> String? {
    var state = self
    for _ in 0..<200 {
      if !visited.insert(state.key(rules)).inserted { return nil }
      if let index = state.flights.indices.first {
        let flight = state.flights[index]
        let action: Action =
          flight.isUnderWay
          ? .arrive(index, .open, isDoubled: false) : .answer(index)
        if let broken = state.take(action, bank, rules) { return "in the calm, \(broken)" }
      } else if state.order.wakeAt != nil {
        if let broken = state.take(.second, bank, rules) { return "in the calm, \(broken)" }
      } else {
        return state.brokenAtRest(bank)
      }
      if let broken = state.broken(bank, rules) { return "in the calm, \(broken)" }
    }
    return "10: it does not come to rest"
  }

  private func brokenAtRest(_ bank: ModelBank) -> String? {
    guard order.status == .paid || order.status == .closed else { return "10: it is \(order.status.rawValue)" }
    if let open = order.cases.first(where: { $0.resolvedAt == nil }) { return "10: a case is open: \(open.reason)" }
    for (index, charge) in charges.enumerated() {
      let isTaken = charge?.status == .captured
      let isReturned = returned.contains { order.refund($0)!.payment.ordinal == index + 1 }
      let isKept = index < order.payments.count && order.payments[index].isKept
      if isTaken != isKept, !isReturned { return "6: the books and the order differ about payment \(index + 1)" }
      if isKept, isReturned { return "6: the kept payment went back" }
    }
    return nil
  }

  // MARK: Which state it is

  /// All that decides about what can happen from here on, and nothing else. Times count from now, and numbers of calls
  /// from the last one; what is longer ago than anybody asks is just over.
  func key(_ rules: Rules) -> [UInt8] {
    let sheet = rules.sheets.values.first!
    var key = ModelKey(now: now)
    func add(_ calls: CallState, _ watchUntil: Instant?) {
      key.add(calls.nextAt == nil)
      guard calls.nextAt != nil else { return }
      key.add(calls.lease == nil ? calls.nextAt : calls.lease!.until)
      key.add(calls.lease?.kind)
      key.add(calls.lease?.number == calls.firstSent?.number)
      if let window = sheet.repeatWindow {
        key.add(calls.firstSent?.at, noEarlierThan: -window.components.seconds)
      } else {
        key.add(calls.firstSent == nil)
      }
      key.add(calls.last?.kind)
      key.add(calls.last?.finding)
      key.add(calls.answeredAskAt == nil)
      if let asked = calls.answeredAskAt, let watchUntil { key.add(asked >= watchUntil) }
    }
    key.add(order.status)
    key.add(order.closeReason)
    if order.status == .open { key.add(order.expiresAt) }
    key.add(order.cases.count { $0.resolvedAt == nil })
    key.add(order.payments.count)
    for payment in order.payments {
      key.add(payment.status)
      key.add(payment.surplus)
      if payment.isLive {
        key.add(payment.action == nil)
        key.add(payment.failure == nil)
        key.add(payment.closeRequestedAt == nil)
      }
      key.add(payment.watchUntil)
      add(payment.calls, payment.watchUntil)
      let charge = charges[payment.id.ordinal - 1]
      key.add(charge?.status)
      guard let charge else { continue }
      key.add(charge.isShown)
      key.add(charge.isReal)
      key.add(charge.closedAt == nil)
      key.add(charge.closedAt.map { $0 + ModelBank.lateness >= now && !sheet.lateMoney.isEmpty } ?? false)
      // Whether it was before the other payment began, or would be if that began now.
      let other = order.payments.count == 1 ? now : order.payments[1].createdAt.milliseconds / 1000
      for moment in [charge.capturedAt, charge.begunAt] { key.add(moment.map { $0 < other ? 1 : 2 } ?? 0) }
    }
    for refund in order.refunds {
      key.add(refund.payment.ordinal)
      key.add(refund.status)
      key.add(returned.contains(refund.id))
      add(refund.calls, nil)
    }
    key.add(faults)
    // Their order says nothing; calls that nobody waits for have no number any more.
    key.add(
      flights.map { flight -> [UInt8] in
        let calls = flight.refund.map { order.refund($0)!.calls } ?? order.payment(flight.payment)!.calls
        var key = ModelKey(now: now)
        key.add(flight.kind)
        key.add(flight.payment.ordinal)
        key.add(flight.refund?.ordinal ?? 0)
        key.add(flight.isUnderWay)
        key.add(flight.isAwaited)
        key.add(flight.isAwaited && calls.lease?.number == flight.number)
        key.add(flight.answer.map(\.key) ?? 0)
        key.add(flight.isFrozen)
        key.add(flight.isAwaited && !flight.isFrozen && flight.leasedAt == now)
        return key.bytes
      })
    return key.bytes
  }
}

/// Small values in a row, each a byte.
private struct ModelKey {
  let now: Int64
  private(set) var bytes: [UInt8] = []

  init(now: Int64) {
    self.now = now
    bytes.reserveCapacity(96)
  }

  mutating func add(_ number: Int) { bytes.append(UInt8(number)) }
  mutating func add(_ flag: Bool) { bytes.append(flag ? 1 : 0) }
  mutating func add<Value: CaseIterable & Equatable>(_ value: Value?) where Value.AllCases == [Value] {
    bytes.append(value.map { UInt8(1 + Value.allCases.firstIndex(of: $0)!) } ?? 0)
  }
  /// - Parameter earliest: what is longer ago, in seconds before now, is as long ago as this.
  mutating func add(_ instant: Instant?, noEarlierThan earliest: Int64 = 0) {
    bytes.append(instant.map { UInt8(100 + max(earliest, $0.milliseconds / 1000 - now)) } ?? 0)
  }
  mutating func add(_ parts: [[UInt8]]) {
    for part in parts.sorted(by: { $0.lexicographicallyPrecedes($1) }) { bytes += part }
  }
}

extension ModelBank.Answer {
  /// Which of the answers of this bank it is: as far as any of them says more than its kind, it always says the same.
  fileprivate var key: Int {
    switch self {
    case .payment(.succeeded): 1
    case .payment(.failed): 2
    case .payment(.closed): 3
    case .payment(.closedSoftly): 4
    case .payment(.pending): 5
    case .payment(.declined): 6
    case .payment(.notFound): 7
    case .payment(.rejected): 8
    case .payment(.notSent): 9
    case .payment(.unknown): 10
    case .refund(.succeeded): 11
    case .refund(.pending): 12
    case .refund(.failed): 13
    case .refund(.refused): 14
    case .refund(.notFound): 15
    case .refund(.notSent): 16
    case .refund(.unknown): 17
    }
  }
}
