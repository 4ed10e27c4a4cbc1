import Foundation
import Logging
import PaymentCore
import Synchronization
import Testing

@testable import PaymentEngine

// One after the other: some hold a thread of the pool, of which there are as few as cores.
@Suite(.serialized) struct LaneTests {
  private static func lane(
    _ store: FakeStore, clock: FakeClock = FakeClock(), provider: FakeProvider = FakeProvider(),
    limits: Limits = Limits()
  ) -> (Lane, Dispatcher, Listeners) {
    let rules = EngineHarness.rules(provider)
    let dispatcher = Dispatcher(
      accounts: [ProviderAccount(provider)], limits: limits, clock: clock, logger: EngineHarness.logger)
    let listeners = Listeners(clock: clock)
    let lane = Lane(
      .all, store: store, rules: rules, clock: clock,
      timekeeper: Timekeeper(clock: clock, tolerance: rules.schedule.clockTolerance, logger: EngineHarness.logger),
      dispatcher: dispatcher, listeners: listeners, unreadable: UnreadableOrders(logger: EngineHarness.logger),
      limits: limits, logger: EngineHarness.logger)
    return (lane, dispatcher, listeners)
  }

  @Test func aBatchFormsWhileTheLastOneCommits() async throws {
    let isCommitting = Mutex(true)
    let store = FakeStore { number, _ in
      // The first commit takes until the test lets it go.
      while number == 1, isCommitting.withLock({ $0 }) { usleep(1000) }
    }
    let (lane, _, _) = Self.lane(store)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await lane.run() }
      for number in 0..<100 {
        group.addTask { _ = try await lane.submit(.command(EngineHarness.register("r-\(number)"), by: .payOnce)).get() }
        if number == 0 { try await until("the first commit") { store.saves == 1 } }
      }
      try await until("a queue of the others") { lane.waiting == 99 }
      isCommitting.withLock { $0 = false }
      for _ in 0..<100 { try await group.next() }
      lane.close()
      try await group.waitForAll()
    }
    #expect(store.loads == [1, 99])
  }

  @Test func nobodyWaitsForEverForAStoreThatHangs() async throws {
    let isHanging = Mutex(true)
    let store = FakeStore { _, _ in while isHanging.withLock({ $0 }) { usleep(1000) } }
    let clock = FakeClock()
    let (lane, _, _) = Self.lane(store, clock: clock)
    func register(_ reference: String) async -> Result<Lane.Answer, Fault> {
      await lane.submit(.command(EngineHarness.register(reference), by: .payOnce))
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await lane.run() }
      async let writing = register("r-1")
      try await until("the commit") { store.saves == 1 }
      async let waiting = register("r-2")
      try await until("a queue") { lane.waiting == 1 }
      clock.advance(by: .seconds(6))
      async let later = register("r-3")
      try await until("a longer queue") { lane.waiting == 2 }
      clock.advance(by: .seconds(4))
      lane.answerOverdue(.seconds(10))
      // What was being written may come to be; what waited will not.
      let (doubtful, unwritten) = await (writing, waiting)
      #expect(throws: Fault.unknownCommit) { try doubtful.get() }
      #expect(throws: Fault.unavailable("the store does not answer")) { try unwritten.get() }
      isHanging.withLock { $0 = false }
      _ = try await later.get()
      lane.close()
      try await group.waitForAll()
    }
    #expect(store[EngineHarness.id("r-1")] != nil)
    #expect(store[EngineHarness.id("r-2")] == nil)
    #expect(store[EngineHarness.id("r-3")] != nil)
  }

  @Test func aBatchIsBounded() async throws {
    let store = FakeStore()
    let (lane, _, _) = Self.lane(store, limits: Limits { $0.batch = 7 })
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<50 {
        group.addTask { _ = await lane.submit(.command(EngineHarness.register("r-\(number)"), by: .payOnce)) }
      }
      while lane.waiting < 50 { await Task.yield() }
      lane.close()
      await lane.run()
    }
    #expect(store.loads == [7, 7, 7, 7, 7, 7, 7, 1])
  }

  @Test func aFullQueueSaysSo() async throws {
    let store = FakeStore()
    let (lane, _, _) = Self.lane(store, limits: Limits { $0.queue = 4 })
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<4 {
        group.addTask { _ = await lane.submit(.command(EngineHarness.register("r-\(number)"), by: .payOnce)) }
      }
      while lane.waiting < 4 { await Task.yield() }
      let fifth = await lane.submit(.command(EngineHarness.register("r-5"), by: .payOnce))
      #expect(throws: Fault.overloaded) { try fifth.get() }
      // Who is called up ends something that is under way, and has room all the same.
      let isAnswered = Gate()
      group.addTask {
        _ = await lane.submit(.command(.wake(EngineHarness.id("r-0")), by: .payOnce))
        isAnswered.open()
      }
      while lane.waiting < 5, !isAnswered.isOpen { await Task.yield() }
      #expect(lane.waiting == 5)
      lane.close()
      await lane.run()
      let late = await lane.submit(.command(EngineHarness.register("r-6"), by: .payOnce))
      #expect(throws: Fault.overloaded) { try late.get() }
    }
    #expect(store[EngineHarness.id("r-3")] != nil && store[EngineHarness.id("r-5")] == nil)
  }

  @Test func aConflictIsDecidedAgain() async throws {
    let store = FakeStore { number, _ throws(Fault) in if number == 2 || number == 3 { throw .conflict } }
    let bench = EngineHarness(store: store)
    try await bench.running {
      let order = try await bench.order("r")
      try await bench.pay(order, "k")
      try await bench.untilLater("the payment") { store[order]?.status == .paid }
    }
    // The call left once, for the commit that held.
    #expect(bench.provider.made.map(\.kind) == [.charge])
  }

  @Test func oneCommandDoesNotKeepTheOthersFromBeingWritten() async throws {
    let store = FakeStore { _, changes throws(Fault) in
      if changes.orders.contains(where: { $0.after.registration.reference == "r-3" }) { throw .conflict }
    }
    let (lane, _, _) = Self.lane(store)
    let failed = await withTaskGroup(of: (Int, Fault?).self) { group in
      for number in 0..<6 {
        group.addTask {
          let result = await lane.submit(.command(EngineHarness.register("r-\(number)"), by: .payOnce))
          if case .failure(let fault) = result { return (number, fault) }
          return (number, nil)
        }
      }
      while lane.waiting < 6 { await Task.yield() }
      lane.close()
      await lane.run()
      var failed: [Int: Fault] = [:]
      for await (number, fault) in group { failed[number] = fault }
      return failed
    }
    #expect(failed == [3: .conflict])
    #expect(store[EngineHarness.id("r-5")] != nil)
  }

  /// An order that cannot be had is found by halves: it costs the others of its batch a few transactions, not one each.
  @Test func oneConflictAmongManyCostsFewTransactions() async {
    let store = FakeStore { _, changes throws(Fault) in
      if changes.orders.contains(where: { $0.after.registration.reference == "r-37" }) { throw .conflict }
    }
    let (lane, _, _) = Self.lane(store)
    let failures = await withTaskGroup(of: Bool.self) { group in
      for number in 0..<64 {
        group.addTask {
          let result = await lane.submit(.command(EngineHarness.register("r-\(number)"), by: .payOnce))
          if case .failure = result { return true }
          return false
        }
      }
      while lane.waiting < 64 { await Task.yield() }
      lane.close()
      await lane.run()
      var failures = 0
      for await hasFailed in group where hasFailed { failures += 1 }
      return failures
    }
    #expect(failures == 1)
    #expect((0..<64).allSatisfy { $0 == 37 || store[EngineHarness.id("r-\($0)")] != nil })
    // Three tries of all, two halves on each of six levels, and five tries of the one alone (73 before).
    #expect(store.loads.count <= 3 + 2 * 6 + 4, "\(store.loads.count) transactions")
  }

  @Test func anOrderThatCannotBeReadIsLeftAloneAndHoldsNobodyUp() async throws {
    let store = FakeStore()
    let bench = EngineHarness(store: store)
    try await bench.running {
      // Many times as many as a sweep takes at once, and due before the one that is looked for.
      var spoilt: [OrderID] = []
      for number in 0..<2200 { spoilt.append(try await bench.order("spoilt-\(number)", expiresIn: 60)) }
      let last = try await bench.order("last", expiresIn: 61)
      store.spoil(spoilt)
      try await bench.untilLater("the deadline") { store[last]?.status == .closed }
      #expect(store[spoilt[0]]?.status == .open)

      let fault = Fault.unavailable("the order \(spoilt[0].text) cannot be read: what stands in payments")
      await #expect(throws: fault) { try await bench.pay(spoilt[0], "k") }
      await #expect(throws: fault) { try await bench.order("spoilt-0", expiresIn: 60) }
      #expect(store.strays.isEmpty)
      let other = try await bench.order("other")
      try await bench.pay(other, "k")
      try await bench.untilLater("the payment") { store[other]?.status == .paid }
    }
    #expect(bench.provider.made.count == 1)
  }

  @Test func anOrderThatCannotBeReadIsNamedOnceByAllLanes() async throws {
    let (first, second) = (FakeStore(), FakeStore())
    let log = FakeLog("order", from: .error)
    let bench = EngineHarness(store: first, others: [second], logger: log.logger)
    // Its commands go to the second lane, and what is due is looked at by the first.
    let reference = (0...).lazy.map { "r-\($0)" }.first { EngineHarness.id($0).laneBits % 2 == 1 }!
    try await bench.running {
      let order = try await bench.order(reference, expiresIn: 60)
      first.put(second[order]!)
      for store in [first, second] { store.spoil([order]) }
      try await bench.untilLater("the complaint") { !log.heard.isEmpty }
      await #expect(throws: Fault.self) { try await bench.pay(order, "k") }
      #expect(log.heard == [order.text])
    }
  }

  @Test func nothingIsCalledThatIsNotStored() async throws {
    let isDown = Mutex(false)
    let store = FakeStore { _, changes throws(Fault) in
      if isDown.withLock({ $0 }), !changes.isEmpty { throw .unavailable("the disk is full") }
    }
    let bench = EngineHarness(store: store)
    try await bench.running {
      let order = try await bench.order("r")
      isDown.withLock { $0 = true }
      await #expect(throws: Fault.unavailable("the disk is full")) { try await bench.pay(order, "k") }
      #expect(bench.provider.made.isEmpty)
      #expect(store[order]?.payments.isEmpty == true)
      // The store heals, and so does everything else, without a restart.
      isDown.withLock { $0 = false }
      try await bench.pay(order, "k")
      try await bench.untilLater("the payment") { store[order]?.status == .paid }
    }
    #expect(bench.provider.made.count == 1)
  }

  @Test func fiftyBuyersOfOneOrderStartOnePayment() async throws {
    let bench = EngineHarness()
    let codes = try await bench.running {
      let order = try await bench.order("r")
      return try await withThrowingTaskGroup(of: RefusalCode?.self) { group in
        for number in 0..<50 {
          group.addTask {
            guard case .failure(let refusal) = try await bench.pay(order, "k-\(number)") else { return nil }
            return refusal.code
          }
        }
        return try await group.reduce(into: [RefusalCode?]()) { $0.append($1) }
      }
    }
    #expect(codes.count(where: { $0 == nil }) == 1)
    #expect(codes.allSatisfy { $0 == nil || $0 == .paymentInProgress || $0 == .orderPaid })
    #expect(bench.provider.made.count(where: { $0.kind == .charge }) == 1)
  }
}
