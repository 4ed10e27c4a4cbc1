/// Decides about one command. An order changes here and where its leases are taken (`Order.takeCalls`), nowhere else.
/// Pure: the same arguments give the same decision.
///
/// - Parameters:
///   - order: the order it is about, as stored; `nil` if there is none.
///   - archived: where there is none, what is left of it if it was moved into an archive.
///   - strays: the cases of money that came for it while there was none, as far as they were looked for.
///   - caller: who asks. An order of somebody else does not exist for them.
///   - now: the moment at which it is decided. Time does not run backwards for an order; see `Order.moment`.
/// - Returns: the order as it stands afterwards, what happened, and the answer. A refusal can change the order, too:
///   its deadline may have passed, and a prevented duplicate is recorded.
package func decide(
  _ order: Order?, archived: ArchivedOrder? = nil, strays: [Case] = [], _ command: Command, by caller: Caller,
  now: Instant, rules: Rules
) -> Decision {
  guard let order, caller.maySee(order) else {
    return decideWithoutOrder(archived, strays, command, by: caller, now: now, rules: rules)
  }
  var decider = Decider(order: order, now: order.moment(now, margin: rules.schedule.leaseMargin), rules: rules)
  if case .recover = command { decider.recover() }
  decider.applyTime()
  // What a person has decided about was taken in when the order was registered.
  let settled = strays.isEmpty ? [] : decider.takeIn(strays.filter { $0.resolvedAt == nil })
  let outcome: Outcome =
    switch command {
    case .register(let registration, _, _, _): decider.registerAgain(registration)
    case .pay(_, let key, let provider, let method): decider.pay(key: key, provider: provider, method: method)
    case .closeOrder: decider.closeOrder()
    case .reopenOrder(_, let expiresIn): decider.reopenOrder(expiresIn: expiresIn)
    case .closePayment(let id): decider.closePayment(id)
    case .check(let id): decider.check(id)
    case .refund(let id, let key, let wanted): decider.refund(id, key: key, wanted)
    case .evidence(.payment(let evidence)): decider.take(evidence)
    case .evidence(.refund(let evidence)): decider.take(evidence)
    case .resolve(let id, let choice, let note): decider.resolve(id, choice, note, by: caller)
    case .adopt(let id, let provider): decider.adopt(id, provider)
    case .wake, .recover: .success(.noted)
    }
  return decider.decision(outcome, strays: settled)
}

private func decideWithoutOrder(
  _ archived: ArchivedOrder?, _ strays: [Case], _ command: Command, by caller: Caller, now: Instant, rules: Rules
) -> Decision {
  switch command {
  // Its reference is taken for ever.
  case .register where archived != nil: break
  case .register(let registration, let number, let id, let secret):
    if let refusal = refuseUnpayable(registration, rules: rules) {
      return Decision(order: nil, events: [], outcome: .failure(refusal), strays: [])
    }
    let order = Order(
      id: id, number: number, registration: registration, checkoutSecret: secret, now: now,
      defaultLife: rules.schedule.orderLife)
    var decider = Decider(order: order, now: now, rules: rules)
    decider.emit(
      .orderCreated,
      [
        "reference": .text(registration.reference), "amount": .integer(registration.amount.amount),
        "currency": .text(registration.amount.currency.code),
      ])
    let settled = decider.takeIn(strays)
    return decider.decision(nil, strays: settled)
  case .evidence(.payment(let evidence)):
    guard case .succeeded(let received) = evidence.verdict else { break }
    if let archived, archived.knows(evidence) { return .noted }
    // One case per payment, however often its provider repeats itself.
    let order = archived?.id ?? evidence.payment.order.idOfStrays
    let isKnown = strays.contains {
      $0.payment?.ordinal == evidence.payment.ordinal && $0.provider == evidence.provider && $0.amount == received
    }
    // The same money has the same identity, whichever node hears of it.
    var hash = FNV1a()
    hash.add("\(evidence.payment.ordinal) \(evidence.provider.text) \(received.text)".utf8)
    let start = Int(hash.value % UInt64(CaseID.maximum))
    let free = (0..<CaseID.maximum).lazy.map { (start + $0) % CaseID.maximum + 1 }.first { ordinal in
      !strays.contains { $0.id.ordinal == ordinal }
    }
    guard !isKnown, let free else { return .noted }
    let stray = Case(
      id: CaseID(order: order, ordinal: free), reason: archived == nil ? .unknownPayment : .archivedOrder,
      payment: PaymentID(order: order, ordinal: evidence.payment.ordinal), refund: nil, provider: evidence.provider,
      amount: received,
      note: archived.map { "the provider says something new about an order in archive \($0.archive)" }
        ?? "the provider took this money for an order that is not stored here", openedAt: now)
    return Decision(order: nil, events: [], outcome: .success(.noted), strays: [stray])
  case .wake, .recover, .evidence(.refund): return .noted
  case .resolve(let id, let choice, let note):
    guard caller.mayResolve, var stray = strays.first(where: { $0.id == id }) else { break }
    switch stray.check(choice) {
    case .refused(let refusal): return Decision(order: nil, events: [], outcome: .failure(refusal), strays: [])
    case .wasChosen: return .noted
    case .open:
      stray.resolve(choice, note, by: caller, now: now)
      return Decision(order: nil, events: [], outcome: .success(.noted), strays: [stray])
    }
  default: break
  }
  let refusal =
    archived.flatMap { caller.maySee($0) ? $0.refusal : nil } ?? Refusal(.notFound, "There is no such order.")
  return Decision(order: nil, events: [], outcome: .failure(refusal), strays: [])
}

extension Decision {
  /// Nothing is there, and nothing is to be said about it.
  fileprivate static let noted = Decision(order: nil, events: [], outcome: .success(.noted), strays: [])
}

/// An amount that no enabled provider could ever take is refused when it is registered, not when it is paid.
private func refuseUnpayable(_ registration: Order.Registration, rules: Rules) -> Refusal? {
  let (amount, accounts) = (registration.amount, rules.accounts(for: registration.merchant))
  guard !accounts.isEmpty, !accounts.contains(where: { $0.sheet.supports(amount) }) else { return nil }
  return Refusal(.amountNotSupported, "No enabled provider takes this amount in \(amount.currency.code).")
}

/// An order while a command is decided about it, and what happened so far.
struct Decider {
  let before: Order
  var order: Order
  var events: [Event] = []
  let now: Instant
  let rules: Rules

  init(order: Order, now: Instant, rules: Rules) {
    before = order
    self.order = order
    self.now = now
    self.rules = rules
  }

  /// Closes the order if the last live payment is gone, and ends the decision.
  /// - Parameters:
  ///   - outcome: the answer; `nil` for the order that was just registered.
  ///   - strays: those of which the order knows now.
  mutating func decision(_ outcome: Outcome?, strays: [Case] = []) -> Decision {
    finishClosing()
    askForWaitingRefunds()
    reviewUnresolved()
    if order != before || !events.isEmpty {
      order.updatedAt = now
      if !events.isEmpty || order.shown != before.shown { order.version += 1 }
    }
    let outcome = outcome ?? .success(.order(order, isRepeat: false))
    return Decision(order: order, events: events, outcome: outcome.map { $0.of(order) }, strays: strays)
  }

  mutating func emit(_ type: Event.Kind, _ data: KeyValuePairs<String, Fields.Value>) { emit(type, Fields(data)) }

  mutating func emit(_ type: Event.Kind, _ data: Fields) {
    // Doubt can come and go as often as somebody asks; it must not use up the numbers of what matters.
    if type == .paymentUnknown, order.sequence >= Self.repeatableEnd { return }
    order.sequence += 1
    events.append(Event(id: EventID(order: order.id, sequence: order.sequence), type: type, at: now, data: data))
  }

  /// The event number from which on what can be repeated for ever is not: doubt is not recorded any more, and the order
  /// not reopened. What else can happen to an order is bounded by its payments, refunds and cases, and far less than the
  /// rest.
  static let repeatableEnd = EventID.maximumSequence / 2

  /// Spreads the calls of one payment or refund; see `Schedule.wait`.
  func salt(_ ordinal: Int) -> UInt64 { UInt64(truncatingIfNeeded: order.id.bits) ^ UInt64(ordinal) << 32 }
}

extension Order {
  /// What others see of it: without what PayOnce notes of its own calls.
  fileprivate var shown: Order {
    var order = self
    order.updatedAt = createdAt
    for index in payments.indices { order.payments[index].calls = CallState(nextAt: nil) }
    for index in refunds.indices { order.refunds[index].calls = CallState(nextAt: nil) }
    return order
  }
}

extension Reply {
  /// The same answer about the order as it is now.
  fileprivate func of(_ order: Order) -> Reply {
    switch self {
    case .order(_, let isRepeat): .order(order, isRepeat: isRepeat)
    case .payment(let id, _, let isRepeat): .payment(id, of: order, isRepeat: isRepeat)
    case .refund(let id, _, let isRepeat): .refund(id, of: order, isRepeat: isRepeat)
    case .noted: .noted
    }
  }
}
