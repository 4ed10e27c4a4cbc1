package import PaymentCore
package import PaymentEngine
import Synchronization

/// A store in memory that keeps the contract of the real ones: transactions, guards, a feed. It is what several nodes of a
/// world share, and survives them; a snapshot of it can be put back, as a restore from a backup or a bad fail-over would.
package final class SimulatedStore: Sendable {
  struct Contents: Sendable {
    var orders: [OrderID: Order] = [:]
    var numbers: [OrderNumber: OrderID] = [:]
    var events: [OrderID: [Event]] = [:]
    var feeds: [MerchantID: [Event]] = [:]
    var strays: [CaseID: Case] = [:]
    var merchants: [Merchant] = []
    var marks: [MerchantID: Mark] = [:]
    var keys: [StoredKey] = []
    var probe: Instant?
    /// When the first order is to be woken, or earlier.
    var earliestWake: Instant?
  }

  private let contents = Mutex(Contents())
  private let isTaken = Atomic(false)

  package init() {}

  var snapshot: Contents { contents.withLock { $0 } }

  func restore(_ snapshot: Contents) { contents.withLock { $0 = snapshot } }

  package subscript(id: OrderID) -> Order? { contents.withLock { $0.orders[id] } }

  // MARK: Transactions

  /// One transaction at a time; in a world there is never a second one, between real threads it waits a bounded while.
  func alone<Answer>(_ work: () throws(Fault) -> Answer) throws(Fault) -> Answer {
    for _ in 0..<100_000_000
    where isTaken.compareExchange(expected: false, desired: true, ordering: .sequentiallyConsistent).exchanged {
      defer { isTaken.store(false, ordering: .sequentiallyConsistent) }
      return try work()
    }
    throw .unavailable("a transaction does not end")
  }

  func look(_ scopes: [Scope]) -> Loaded {
    contents.withLock { contents in
      var found = Loaded()
      var seen: Set<OrderID> = []
      func add(_ order: Order?) {
        if let order, seen.insert(order.id).inserted { found.orders.append(order) }
      }
      for scope in scopes {
        switch scope {
        case .order(let id):
          add(contents.orders[id])
          if contents.orders[id] == nil { found.strays += contents.strays(of: id) }
        case .number(let number):
          let order = contents.order(.number(number))
          add(order)
          if order == nil { found.strays += contents.strays(of: OrderName.number(number).idOfStrays) }
        case .due(let now, let place, let limit, let share):
          let due = contents.due(now, after: place ?? .start, limit: limit, of: share)
          for order in due { add(order) }
          if due.count == limit { found.dueEnd = due.last.flatMap { WakePlace($0) } }
        }
      }
      return found
    }
  }

  /// Writes all or nothing.
  func apply(_ changes: Changeset) throws(Fault) {
    let fault: Fault? = contents.withLock { contents in
      let changed = changes.orders.filter { $0.before != contents.orders[$0.after.id] }
      if !changed.isEmpty { return .contested(changed.map(\.after.id)) }
      guard contents.allows(changes) else { return .conflict }
      contents.apply(changes)
      return nil
    }
    if let fault { throw fault }
  }
}

extension SimulatedStore.Contents {
  fileprivate func order(_ name: OrderName) -> Order? {
    switch name {
    case .id(let id): orders[id]
    case .number(let number): numbers[number].flatMap { orders[$0] }
    }
  }

  fileprivate func strays(of id: OrderID) -> [Case] {
    strays.values.filter { $0.id.order == id }.sorted { $0.id.ordinal < $1.id.ordinal }
  }

  mutating func due(_ now: Instant, after place: WakePlace, limit: Int, of share: LaneShare) -> [Order] {
    guard let earliestWake, earliestWake <= now else { return [] }
    let waiting = orders.values.compactMap { order in WakePlace(order).map { (place: $0, order: order) } }
    self.earliestWake = waiting.map { Instant(milliseconds: $0.place.at) }.min()
    return waiting.filter { $0.place.at <= now.milliseconds && $0.place > place && share.contains($0.place.id) }.sorted
    { $0.place < $1.place }
    .prefix(limit).map(\.order)
  }

  /// Whether the guards let it through.
  fileprivate func allows(_ changes: Changeset) -> Bool {
    var named: [OrderNumber: OrderID] = [:]
    for change in changes.orders {
      let order = change.after
      guard change.before == orders[order.id], order.keepsTheGuards,
        [nil, order.id].contains(named.updateValue(order.id, forKey: order.number) ?? numbers[order.number])
      else { return false }
    }
    for stray in changes.strays where stray.resolvedAt != nil {
      let made = changes.strays.first { $0.id == stray.id && $0.resolvedAt == nil }
      guard let known = strays[stray.id] ?? made, known.resolvedAt == nil else { return false }
    }
    // Numbered within the order from 1 without a gap, each once.
    var counts: [OrderID: Int] = [:]
    for (order, event) in changes.events {
      let count = counts[order.id] ?? events[order.id]?.count ?? 0
      guard event.id.sequence == count + 1 else { return false }
      counts[order.id] = count + 1
    }
    return true
  }

  fileprivate mutating func apply(_ changes: Changeset) {
    for change in changes.orders {
      let order = change.after
      orders[order.id] = order
      numbers[order.number] = order.id
      if let wake = order.wakeAt { earliestWake = min(earliestWake ?? wake, wake) }
    }
    for (order, event) in changes.events {
      events[order.id, default: []].append(event)
      feeds[order.registration.merchant, default: []].append(event)
    }
    for stray in changes.strays where strays[stray.id] == nil || stray.resolvedAt != nil { strays[stray.id] = stray }
    probe = changes.probe ?? probe
  }
}

/// The writing side as one lane has it.
extension SimulatedStore: Store {
  package func transact<Answer>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer {
    try alone { () throws(Fault) in
      let decided = try decide(look(scopes))
      try apply(decided.changes)
      return decided.answer
    }
  }
}

extension SimulatedStore: Reading {
  package func order(_ name: OrderName) async throws(Fault) -> Order? { contents.withLock { $0.order(name) } }

  /// Nothing is moved out of it.
  package func archived(_ name: OrderName) async throws(Fault) -> ArchivedOrder? { nil }

  package func stray(_ id: CaseID) async throws(Fault) -> Case? { contents.withLock { $0.strays[id] } }

  package func orders(
    of merchant: MerchantID, status: Order.Status?, after: OrderID?, limit: Int
  ) async throws(Fault) -> [Order] {
    contents.withLock { contents in
      contents.orders.values.filter { order in
        order.registration.merchant == merchant && (status.map { $0 == order.status } ?? true)
          && (after.map { order.id < $0 } ?? true)
      }.sorted { $0.id > $1.id }.prefix(limit).map { $0 }
    }
  }

  package func orders(
    payableFrom start: Instant, to end: Instant, paidSince: Instant, after: OrderID?, of count: Int
  ) async throws(Fault) -> (orders: [Order], unreadable: [UnreadableOrder], last: OrderID?) {
    contents.withLock { contents in
      let some = contents.orders.keys.filter { id in after.map { id > $0 } ?? true }.sorted().prefix(count)
      let orders = some.compactMap { contents.orders[$0] }.filter {
        $0.wasPayable(from: start, to: end, orPaidSince: paidSince)
      }
      return (orders, [], some.last)
    }
  }

  package func changed(since known: [OrderID: Int]) async throws(Fault) -> [Order] {
    contents.withLock { contents in
      // Sorted, so that it is the same in every process.
      known.keys.sorted().compactMap { contents.orders[$0] }.filter { $0.version > known[$0.id]! }
    }
  }

  package func waiting(limit: Int) async throws(Fault) -> [Waiting] {
    contents.withLock { contents in
      var all: [Waiting] = []
      func add(
        _ kind: Waiting.Kind, _ id: OrderID, _ text: String, _ provider: ProviderName?, since: Instant?,
        case open: Case? = nil
      ) {
        guard let since else { return }
        let order = contents.orders[id]?.registration
        all.append(
          Waiting(
            kind: kind, order: id, id: text,
            merchant: contents.merchants.first { $0.id == order?.merchant }?.name, reference: order?.reference,
            provider: provider, item: open, since: since))
      }
      for (id, order) in contents.orders {
        for payment in order.payments {
          add(.unknownPayment, id, payment.id.text, payment.provider, since: payment.unknownSince)
        }
        for refund in order.refunds {
          add(
            .unknownRefund, id, refund.id.text, order.payment(refund.payment)?.provider, since: refund.unknownSince)
        }
        add(.closingOrder, id, id.text, order.livePayment?.provider, since: order.closingSince)
      }
      for open in contents.orders.values.flatMap(\.cases) + contents.strays.values where open.resolvedAt == nil {
        add(.openCase, open.id.order, open.id.text, open.provider, since: open.openedAt, case: open)
      }
      return Waiting.Kind.allCases.flatMap { kind in
        all.filter { $0.kind == kind }.sorted { ($0.since, $0.order) < ($1.since, $1.order) }.prefix(limit)
      }
    }
  }

  package func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event] {
    contents.withLock { Array($0.events[order, default: []].dropFirst(after).prefix(limit)) }
  }

  package func feed(
    of merchant: MerchantID, after position: Int64, limit: Int
  ) async throws(Fault) -> Feed {
    contents.withLock { contents in
      let events = contents.feeds[merchant, default: []].enumerated().dropFirst(Int(position)).prefix(limit)
        .map { (Int64($0.offset + 1), $0.element) }
      return Feed(events)
    }
  }
}

extension SimulatedStore: Directory {
  package func storeID() async throws(Fault) -> String { "0000000000000000" }

  package func setDisplayName(_ name: String?, of merchant: MerchantID) async throws(Fault) {
    change(merchant) { $0.displayName = name }
  }

  package func mark(of merchant: MerchantID) async throws(Fault) -> Mark? { contents.withLock { $0.marks[merchant] } }

  package func setMark(_ mark: Mark?, of merchant: MerchantID) async throws(Fault) {
    contents.withLock { $0.marks[merchant] = mark }
    change(merchant) { $0.hasMark = mark != nil }
  }

  private func change(_ merchant: MerchantID, _ body: (inout Merchant) -> Void) {
    contents.withLock { contents in
      guard let index = contents.merchants.firstIndex(where: { $0.id == merchant }) else { return }
      body(&contents.merchants[index])
    }
  }

  package func key(_ id: String) async throws(Fault) -> StoredKey? {
    contents.withLock { $0.keys.first { $0.id == id } }
  }

  package func keys() async throws(Fault) -> [StoredKey] {
    contents.withLock { $0.keys.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) } }
  }

  package func merchant(named name: String, id: MerchantID) async throws(Fault) -> MerchantID {
    contents.withLock { contents in
      if let known = contents.merchants.first(where: { $0.name == name }) { return known.id }
      contents.merchants.append(Merchant(id: id, name: name, origins: []))
      return id
    }
  }

  package func merchant(_ id: MerchantID) async throws(Fault) -> Merchant? {
    contents.withLock { $0.merchants.first { $0.id == id } }
  }

  package func merchants() async throws(Fault) -> [Merchant] {
    contents.withLock { $0.merchants.sorted { $0.name < $1.name } }
  }

  package func setOrigin(_ origin: String, of merchant: MerchantID, allowed: Bool) async throws(Fault) {
    change(merchant) { known in
      known.origins = (known.origins.filter { $0 != origin } + (allowed ? [origin] : [])).sorted()
    }
  }

  package func add(_ key: StoredKey) async throws(Fault) {
    let isNew = contents.withLock { contents in
      guard !contents.keys.contains(where: { $0.id == key.id }) else { return false }
      contents.keys.append(key)
      return true
    }
    if !isNew { throw .conflict }
  }

  package func revoke(_ id: String, at now: Instant) async throws(Fault) -> Bool {
    contents.withLock { contents in
      guard let index = contents.keys.firstIndex(where: { $0.id == id && $0.revokedAt == nil }) else { return false }
      let key = contents.keys[index]
      contents.keys[index] = StoredKey(
        id: key.id, hash: key.hash, holder: key.holder, createdAt: key.createdAt, revokedAt: now)
      return true
    }
  }
}
