import PaymentCore

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
  /// The provider is busy: what is due next is put off.
  var isBusy = false
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
  static let life: Int64 = 2
  private static let keys = [IdempotencyKey("a")!, IdempotencyKey("b")!]

  init(_ bank: ModelBank, _ rules: Rules, _ faults: Int) {
    self.faults = faults
    let start = Instant(milliseconds: Self.start * 1000)
    let registration = Order.Registration(
      merchant: Self.merchant, reference: "r", amount: Self.price, expiresIn: Self.life,
      latePayment: bank.latePayment)
    let number = Numbering.simulated.order(registration)
    let id = OrderID(at: start, number: number, random: 7)
    let command = Command.register(registration, number: number, id: id, checkoutSecret: 1)
    order = decide(nil, command, by: .payOnce, now: start, rules: rules).order!
  }

  private var instant: Instant { Instant(milliseconds: now * 1000) }

  // MARK: What can happen

  enum Action {
    case pay(Int)
    case closePayment(PaymentID)
    case closeOrder
    /// Somebody looks at the payment, and has it asked about.
    case check(PaymentID)
    /// The request comes to the bank; a create has an outcome. `isDoubled`: once more, later.
    case arrive(Int, ModelBank.Creation, isDoubled: Bool)
    case answer(Int)
    case giveUp(Int)
    case refuseConnection(Int)
    case lie(Int)
    case lose(Int)
    case crash
    case freeze(Int)
    case busy
    /// What a buyer does at the bank, or the bank by itself.
    case begin(Int)
    case capture(Int)
    case decline(Int)
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
    case .check(let id): return "somebody looks at \(id.text)"
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
    case .busy: return "the provider is busy: what is due next is put off"
    case .begin(let index): return "a buyer scans the code of payment \(index + 1)"
    case .capture(let index): return "THE BANK TAKES MONEY for payment \(index + 1)"
    case .decline(let index): return "a try to pay payment \(index + 1) is declined"
    case .notice(let index, let status): return "a notice says that payment \(index + 1) is \(status)"
    case .second: return "a second passes"
    }
  }

  func actions(_ bank: ModelBank) -> [Action] {
    var actions: [Action] = []
    actions += Self.keys.indices.prefix(order.payments.count + 1).map { .pay($0) }
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
          actions.append(.lie(index))
          if !flight.isFrozen { actions.append(.freeze(index)) }
        }
      } else {
        actions.append(.lose(index))
      }
    }
    if faults > 0, flights.contains(where: \.isAwaited) { actions.append(.crash) }
    if faults > 0, !isBusy { actions.append(.busy) }
    // Without a bound on their number, queries between those of the schedule have no end.
    for payment in order.payments where faults > 0 && (payment.isLive || payment.isWatched) {
      if payment.calls.lease == nil, let next = payment.calls.nextAt, next > instant {
        actions.append(.check(payment.id))
      }
    }
    for (index, charge) in charges.enumerated() {
      guard let charge else { continue }
      if charge.status == .open {
        if bank.kind == .alipay, !charge.isBegun, charge.isShown { actions.append(.begin(index)) }
        if bank.canBePaid(charge) { actions += [.capture(index), .decline(index)] }
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
    for index in order.payments.indices where order.payments[index].nextAction != nil { charges[index]?.isShown = true }
    return broken
  }

  private mutating func act(_ action: Action, _ bank: ModelBank, _ rules: Rules) -> String? {
    switch action {
    case .pay(let key):
      return send(
        .pay(order.id, key: Self.keys[key], provider: bank.kind.name, method: nil), bank, rules)
    case .closePayment(let id): return send(.closePayment(id), bank, rules)
    case .closeOrder: return send(.closeOrder(order.id), bank, rules)
    case .check(let id):
      faults -= 1
      return send(.check(id), bank, rules)
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
      return evidence(of: flight, .unknown(""), orOfRefund: .unknown(""), bank, rules)
    case .refuseConnection(let index):
      faults -= 1
      let flight = flights.remove(at: index)
      return evidence(of: flight, .notSent, orOfRefund: .notSent, bank, rules)
    case .lie(let index):
      faults -= 1
      let flight = flights[index]
      flights[index].isAwaited = false
      dropDone()
      let failure = Failure(code: "try_later", message: "")
      return evidence(of: flight, .rejected(failure), orOfRefund: .unknown(""), bank, rules)
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
    case .busy:
      faults -= 1
      isBusy = true
      return nil
    case .begin(let index):
      charges[index]!.begunAt = now
      return nil
    case .capture(let index):
      if bank.kind == .alipay { charges[index]!.begunAt = charges[index]!.begunAt ?? now }
      charges[index]!.status = .captured
      charges[index]!.capturedAt = now
      return nil
    case .decline(let index) where bank.kind == .sandbox:
      charges[index]!.status = .declined
      return nil
    case .decline(let index):
      // The buyer still holds the secret or the code.
      if bank.kind == .alipay { charges[index]!.begunAt = charges[index]!.begunAt ?? now }
      charges[index]!.isDeclined = true
      return nil
    case .notice(let index, let status):
      let id = order.payments[index].id
      return send(
        .evidence(
          .payment(
            .init(payment: id, provider: bank.kind.name, call: nil, verdict: bank.verdict(status, of: charges[index]!)))
        ),
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

  private mutating func arrive(_ index: Int, _ outcome: ModelBank.Creation, _ bank: ModelBank) {
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
    of flight: Flight, _ verdict: PaymentEvidence.Verdict, orOfRefund: RefundEvidence.Verdict, _ bank: ModelBank,
    _ rules: Rules
  ) -> String? {
    evidence(of: flight, flight.refund == nil ? .payment(verdict) : .refund(orOfRefund), bank, rules)
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
    var after = decide(order, command, by: .payOnce, now: instant, rules: rules).order!
    guard Set(after.payments.map(\.key)).count == after.payments.count else { return "7: a key led to two payments" }
    var broken: String?
    if before.closeReason == .cancelled, after.closeReason != .cancelled {
      broken = "6: an order that its shop closed took money"
    }
    let isBusy = isBusy
    for call in after.takeCalls(instant, rules: rules, admit: { _ in isBusy ? .zero : nil }) {
      if call.kind.movesMoney {
        let calls = call.refund.map { before.refund($0.id)?.calls } ?? before.payment(call.payment)?.calls
        if let first = calls?.firstSent, let window = bank.sheet.repeatWindow, instant.since(first.at) >= window {
          broken = "3: \(call.subject.text) is sent again after its key may be forgotten"
        }
        let isUnderWay = flights.contains {
          // A node that froze may still be in it, for as long as it would not drop it.
          ($0.kind, $0.payment, $0.refund) == (call.kind, call.payment, call.refund?.id) && $0.isAwaited
            && (!$0.isFrozen || .seconds(now - $0.leasedAt) < rules.schedule.moving)
        }
        if isUnderWay { broken = "5: \(call.subject.text) leaves while it is under way" }
      }
      flights.append(
        Flight(kind: call.kind, number: call.number, payment: call.payment, refund: call.refund?.id, leasedAt: now))
      if call.kind == .charge, before.payment(call.payment)?.mayHaveLeft != true {
        broken = broken ?? after.payment(call.payment).flatMap { brokenByOpening($0, bank) }
      }
    }
    self.isBusy = false
    order = after
    for (old, new) in zip(before.payments, after.payments) where old.status == .succeeded {
      if new.status != .succeeded || new.surplus != old.surplus { broken = broken ?? "6: a success changed" }
    }
    return broken
  }
}
