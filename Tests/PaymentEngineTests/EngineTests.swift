import PaymentCore
import Synchronization
import Testing

@testable import PaymentEngine

@Suite struct EngineTests {
  @Test func theDeadlineComesByItself() async throws {
    let provider = FakeProvider { call in
      call.kind == .close ? .closed : .pending(.redirect(url: "https://bank.example/pay"))
    }
    let bench = EngineHarness(provider: provider)
    try await bench.running {
      let (left, paying) = (try await bench.order("left"), try await bench.order("paying"))
      try await bench.pay(paying, "k")
      try await bench.untilLater("the deadline") {
        bench.store[left]?.status == .closed && bench.store[paying]?.status == .closed
      }
      #expect(bench.clock.uptime() >= .seconds(900) && bench.clock.uptime() < .seconds(920))
    }
    // Asked before it was closed, and closed at the provider before it was closed here.
    #expect(provider.made.suffix(2).map(\.kind) == [.query, .close])
  }

  @Test func whatADeadNodeLeftBehindIsTakenUp() async throws {
    let store = FakeStore()
    let clock = FakeClock()
    // The first node dies in the middle of its call: it never reports.
    let dead = EngineHarness(store: store, provider: FakeProvider { _ in .unknown("") }, clock: clock)
    let order = EngineHarness.id("r")
    let node = Task {
      await withTaskGroup(of: Void.self) { group in
        for lane in dead.engine.journal.lanes { group.addTask { await lane.run() } }
      }
    }
    _ = try await dead.order("r")
    try await dead.pay(order, "k")
    dead.engine.journal.close()
    await node.value
    let lease = try #require(store[order]?.payments[0].calls.lease)
    #expect(dead.provider.made.isEmpty)

    let alive = EngineHarness(store: store, clock: clock)
    try await alive.running {
      try await alive.untilLater("the payment") { store[order]?.status == .paid }
    }
    // Not before the lease lapsed, asked first, and under the same id.
    #expect(clock.now() >= lease.until)
    #expect(alive.provider.made.map(\.kind) == [.query])
    #expect(alive.provider.made[0].payment == PaymentID(order: order, ordinal: 1))
  }

  @Test func evidenceUnderWayIsStoredBeforeTheEnd() async throws {
    let gate = Gate()
    let provider = FakeProvider { call in
      await gate.pass()
      return .succeeded(call.amount)
    }
    let bench = EngineHarness(provider: provider)
    let order = try await bench.running {
      let order = try await bench.order("r")
      try await bench.pay(order, "k")
      try await until("the call") { gate.waiting == 1 }
      bench.engine.stop()
      gate.open()
      return order
    }
    #expect(bench.store[order]?.status == .paid)
  }

  @Test func aCallWhoseLeaseIsBeingStoredAtTheEndIsStillMade() async throws {
    let stop = Mutex<(@Sendable () -> Void)?>(nil)
    let store = FakeStore { _, changes throws(Fault) in
      // The lane is past the admission and before the hand-over.
      if changes.orders.contains(where: { $0.after.payments.first?.calls.lease != nil }) { stop.withLock { $0?() } }
    }
    let bench = EngineHarness(store: store)
    stop.withLock { $0 = { bench.engine.stop() } }
    let order = try await bench.running {
      let order = try await bench.order("r")
      try await bench.pay(order, "k")
      return order
    }
    #expect(bench.provider.made.map(\.kind) == [.charge])
    #expect(store[order]?.status == .paid)
  }

  @Test func evidenceOutlastsAStoreThatFailsForAWhile() async throws {
    let failures = Mutex(0)
    let store = FakeStore { _, changes throws(Fault) in
      let isPaid = changes.orders.contains { $0.after.status == .paid }
      let isFailing = failures.withLock { failures in
        guard isPaid, failures < 3 else { return false }
        failures += 1
        return true
      }
      if isFailing { throw .unavailable("gone") }
    }
    let bench = EngineHarness(store: store)
    try await bench.running {
      let order = try await bench.order("r")
      try await bench.pay(order, "k")
      try await bench.untilLater("the payment", within: .seconds(20)) { store[order]?.status == .paid }
    }
    #expect(failures.withLock { $0 } == 3)
    #expect(bench.provider.made.count == 1)
  }
}

@Suite struct ListenersTests {
  private static let order = EngineHarness.id("r")

  static func version(_ version: Int) -> Order {
    Order(
      restored: order, number: EngineHarness.number("r"),
      registration: .init(
        merchant: EngineHarness.merchant, reference: "r", amount: Money(1, EngineHarness.cny), expiresIn: 900),
      checkoutSecret: 1, createdAt: FakeClock.start, expiresAt: FakeClock.start, status: .open, closeReason: nil,
      paidAt: nil, closedAt: nil, updatedAt: FakeClock.start, version: version, sequence: 1,
      duplicates: PreventedDuplicates(), payments: [], refunds: [], cases: [])
  }

  @Test func whatIsPublishedBeforeTheWaitIsHeard() async throws {
    let listeners = Listeners(clock: FakeClock())
    let subscription = try listeners.subscribe(to: Self.order)
    listeners.publish([Self.version(2)])
    // An older state that comes later is no news.
    listeners.publish([Self.version(1)])
    #expect(await subscription.first(within: .seconds(1)) { _ in true }?.version == 2)
    #expect(await subscription.first(within: .zero) { $0.version > 2 }?.version == 2)
    subscription.end()
  }

  @Test func whoWaitsLongEnoughIsLetGo() async throws {
    let clock = FakeClock()
    let listeners = Listeners(clock: clock)
    let subscription = try listeners.subscribe(to: Self.order)
    let end = Gate()
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        await listeners.run()
        end.open()
      }
      group.addTask {
        listeners.publish([Self.version(3)])
        #expect(await subscription.first(within: .seconds(5)) { $0.version > 3 }?.version == 3)
        #expect(clock.uptime() >= .seconds(5))
        listeners.stop()
      }
      while !end.isOpen {
        clock.advance(by: .milliseconds(100))
        await Task.yield()
      }
    }
    #expect(subscription.isOver)
  }

  static func places(_ change: (inout Listeners.Places) -> Void) -> Listeners.Places {
    var places = Listeners.Places()
    change(&places)
    return places
  }

  /// However many look, there are places for those who pay; and the other way round.
  @Test func pagesAndCommandsHavePlacesOfTheirOwn() throws {
    let listeners = Listeners(
      clock: FakeClock(),
      places: Self.places {
        $0.pages = 2
        $0.commands = 1
      })
    let others = [EngineHarness.id("a"), EngineHarness.id("b"), EngineHarness.id("c")]
    _ = try listeners.subscribe(to: others[0], as: .page(from: nil))
    try listeners.checkPlaceForPage()
    _ = try listeners.subscribe(to: others[1], as: .page(from: nil))
    #expect(throws: Fault.overloaded) { try listeners.subscribe(to: others[2], as: .page(from: nil)) }
    #expect(throws: Fault.overloaded) { try listeners.checkPlaceForPage() }
    let command = try listeners.subscribe(to: Self.order)
    #expect(throws: Fault.overloaded) { try listeners.subscribe(to: others[2]) }
    command.end()
    _ = try listeners.subscribe(to: Self.order)
  }

  @Test func theOldestPageOfAnOrderGivesWay() async throws {
    let listeners = Listeners(clock: FakeClock(), places: Self.places { $0.pagesOfOrder = 2 })
    let command = try listeners.subscribe(to: Self.order)
    let other = try listeners.subscribe(to: EngineHarness.id("other"), as: .page(from: nil))
    let pages = try (0..<1000).map { _ in try listeners.subscribe(to: Self.order, as: .page(from: nil)) }
    #expect(listeners.count == 4)
    #expect(pages.prefix(998).allSatisfy { $0.isOver })
    #expect(![command, other, pages[998], pages[999]].contains { $0.isOver })
    // Who gave way is told nothing more, and frees no place again.
    pages[0].end()
    listeners.publish([Self.version(1)])
    #expect(await pages[0].first(within: .seconds(1)) { _ in true } == nil)
    #expect(await pages[999].first(within: .seconds(1)) { _ in true }?.version == 1)
    #expect(listeners.count == 4)
  }

  @Test func theOldestPageOfAnAddressGivesWay() throws {
    let listeners = Listeners(clock: FakeClock(), places: Self.places { $0.pagesOfAddress = 2 })
    func page(_ name: String, from address: [UInt8]?) throws -> Subscription {
      try listeners.subscribe(to: EngineHarness.id(name), as: .page(from: address))
    }
    let first = try page("a", from: [10])
    let others = [
      try page("b", from: [10]), try page("c", from: nil), try page("d", from: nil), try page("e", from: nil),
      try page("f", from: [11]), try page("g", from: [10]),
    ]
    #expect(first.isOver && !others.contains { $0.isOver })
    for subscription in [first] + others { subscription.end() }
    #expect(listeners.count == 0)
    let again = [try page("a", from: [10]), try page("b", from: [10])]
    #expect(!again.contains { $0.isOver })
  }

  @Test func oneOrderDoesNotTakeAllPlaces() throws {
    let listeners = Listeners(clock: FakeClock(), places: Self.places { $0.commandsOfOrder = 2 })
    _ = try listeners.subscribe(to: Self.order)
    _ = try listeners.subscribe(to: Self.order)
    _ = try listeners.subscribe(to: Self.order, as: .page(from: nil))
    #expect(throws: Fault.overloaded) { try listeners.subscribe(to: Self.order) }
    _ = try listeners.subscribe(to: EngineHarness.id("other"))
  }

  /// What waits never fills a server's connections, however few they are.
  @Test(arguments: [16, 100, 700, 8192]) func whoWaitsLeavesConnectionsFree(_ connections: Int) {
    let places = Listeners.Places(connections: connections)
    #expect(places.commands + places.pages < connections)
    #expect(places.commandsOfOrder <= max(8, places.commands) && places.pagesOfOrder <= places.pages)
  }

  @Test func listenersAreBounded() throws {
    let listeners = Listeners(clock: FakeClock(), places: Self.places { $0.commands = 2 })
    let first = try listeners.subscribe(to: Self.order)
    _ = try listeners.subscribe(to: Self.order)
    #expect(throws: Fault.overloaded) { try listeners.subscribe(to: Self.order) }
    first.end()
    first.end()
    _ = try listeners.subscribe(to: Self.order)
    #expect(throws: Fault.overloaded) { try listeners.subscribe(to: Self.order) }
  }

  @Test func aCancelledWaitEnds() async throws {
    let listeners = Listeners(clock: FakeClock())
    let subscription = try listeners.subscribe(to: Self.order)
    let wait = Task { await subscription.first(within: .seconds(3600)) { _ in true } }
    wait.cancel()
    #expect(await wait.value == nil)
  }
}
