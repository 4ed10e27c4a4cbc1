import PaymentCore

/// The orders of one transaction, whose commands are decided as they came.
struct Batch {
  private struct Slot {
    let before: Order?
    var order: Order
    var isDecided = false
    /// Whether its calls wait for the next sweep.
    var isHeld = false

    /// Whether there is nothing in it that is worth a write.
    func isOnlyPutOffAgain(_ calls: [Call], _ now: Instant) -> Bool {
      !calls.isEmpty && before.map { order.isOnlyPutOffAgain(calls, since: $0, now: now) } ?? false
    }
  }
  private let now: Instant
  private let rules: Rules
  private let dueEnd: WakePlace?
  private var slots: [Slot] = []
  private var indexes: [OrderID: Int] = [:]
  private var numbers: [OrderNumber: OrderID] = [:]
  private var strays: [OrderID: [Case]]
  private let archived: [OrderName: ArchivedOrder]
  private(set) var changeset = Changeset()
  private(set) var published: [Order] = []

  init(now: Instant, rules: Rules, loaded: Loaded) {
    self.now = now
    self.rules = rules
    dueEnd = loaded.dueEnd
    strays = Dictionary(grouping: loaded.strays, by: \.id.order)
    archived = loaded.archived
    slots.reserveCapacity(loaded.orders.count)
    for order in loaded.orders { add(order, before: order) }
  }

  private mutating func add(_ order: Order, before: Order?) {
    indexes[order.id] = slots.count
    numbers[order.number] = order.id
    slots.append(Slot(before: before, order: order))
  }

  mutating func take(_ work: Lane.Work) -> Lane.Answer {
    switch work {
    case .command(let command, let caller): return .outcome(decide(command, by: caller))
    case .sweep:
      let due = slots.indices.filter { slots[$0].order.wakeAt.map { $0 <= now } ?? false }
      for index in due { _ = decide(.wake(slots[index].order.id), by: .payOnce) }
      return .swept(due.count, next: dueEnd)
    case .recover:
      let leased = slots.indices.filter { slots[$0].order.isLeased }
      for index in leased {
        _ = decide(.recover(slots[index].order.id), by: .payOnce)
        // The next page of a recovery would void a lease that is taken now.
        slots[index].isHeld = true
      }
      return .swept(leased.count, next: dueEnd)
    case .probe:
      changeset.probe = now
      return .written
    }
  }

  /// The order that a command is about; `nil` where there is none, and for what is no command.
  func order(of work: Lane.Work) -> OrderID? {
    if case .command(let command, _) = work { id(command.name) } else { nil }
  }

  private func id(_ name: OrderName) -> OrderID? {
    switch name {
    case .id(let id): id
    case .number(let number): numbers[number]
    }
  }

  private mutating func decide(_ command: Command, by caller: Caller) -> Outcome {
    let name = command.name
    let index = id(name).flatMap { indexes[$0] }
    let archived = index == nil && !archived.isEmpty ? archived[name] : nil
    let decision = PaymentCore.decide(
      index.map { slots[$0].order }, archived: archived,
      strays: strays.isEmpty ? [] : strays[archived?.id ?? name.idOfStrays] ?? [], command, by: caller, now: now,
      rules: rules)
    for stray in decision.strays { note(stray) }
    guard let order = decision.order else { return decision.outcome }
    if let index {
      slots[index].order = order
      slots[index].isDecided = true
    } else {
      add(order, before: nil)
      slots[slots.count - 1].isDecided = true
    }
    for event in decision.events { changeset.events.append((order, event)) }
    return decision.outcome
  }

  private mutating func note(_ stray: Case) {
    let wasNew = changeset.strays.contains { $0.id == stray.id && $0.resolvedAt == nil }
    // One that came and went in this batch is in its order now, and was never stored.
    changeset.strays.removeAll { $0.id == stray.id }
    if !wasNew || stray.resolvedAt == nil { changeset.strays.append(stray) }
    strays[stray.id.order, default: []].removeAll { $0.id == stray.id }
    strays[stray.id.order, default: []].append(stray)
  }

  /// Takes the leases of what is due now as far as the dispatcher has places. The rest is put off.
  mutating func leaseCalls(_ dispatcher: Dispatcher) -> [Call] {
    var calls: [Call] = []
    for index in slots.indices where slots[index].isDecided {
      var putOff: [Call] = []
      if !slots[index].isHeld {
        let recalled = dispatcher.recalled(slots[index].order.id)
        calls += slots[index].order.takeCalls(now, rules: rules, recalled: recalled) { call in
          let wait = dispatcher.admit(call)
          if let wait, wait > .zero { putOff.append(call) }
          return wait
        }
      }
      let slot = slots[index]
      guard slot.before != slot.order, !slot.isOnlyPutOffAgain(putOff, now) else { continue }
      changeset.orders.append(.init(before: slot.before, after: slot.order))
      published.append(slot.order)
    }
    return calls
  }
}
