import Logging
import PaymentCore
import Testing

@testable import PaymentEngine

/// A machine whose clock is wrong decides nothing, and goes on by itself when it is right again.
@Suite(.serialized) struct ClockTests {
  private static func isWrong(_ work: () async throws -> Void) async -> Bool {
    do { try await work() } catch { return error as? Fault == .clockWrong }
    return false
  }

  @Test(arguments: [3600, -3600, 11, -11, 365 * 86_400])
  func aJumpStopsEverythingUntilItIsTakenBack(seconds: Int) async throws {
    let log = FakeLog("ahead_ms", from: .error)
    let bench = EngineHarness(logger: log.logger)
    try await bench.running {
      let order = try await bench.order("r", expiresIn: 60)
      bench.clock.set(.seconds(seconds))
      #expect(await Self.isWrong { _ = try await bench.order("other") })
      #expect(await Self.isWrong { try await bench.pay(order, "k") })
      #expect(await Self.isWrong { try await bench.engine.journal.probe() })
      // The sweeper looks all the time; an order that is an hour from its end by the true time is not closed.
      for _ in 0..<20 { bench.clock.advance(by: .milliseconds(200)) }
      await #expect(throws: Fault.clockWrong) {
        try await bench.engine.journal.sweep(bench.engine.journal.lanes[0], limit: 10)
      }
      #expect(bench.store[order]?.status == .open)
      #expect(log.heard == ["\(seconds * 1000)"], "said once")

      bench.clock.set(.zero)
      try await bench.pay(order, "k")
      try await bench.untilLater("the payment") { bench.store[order]?.status == .paid }
    }
  }

  @Test func aSmallDifferenceIsTolerated() async throws {
    let bench = EngineHarness()
    try await bench.running {
      for seconds in [10, -10] {
        bench.clock.set(.seconds(seconds))
        _ = try await bench.order("r\(seconds)")
      }
    }
  }

  /// A virtual machine that was asleep, and whose clock was set right when it woke up.
  @Test func aJumpIsBelievedWhereTheSystemKeepsTheClockRight() async throws {
    let bench = EngineHarness()
    try await bench.running {
      let order = try await bench.order("r", expiresIn: 60)
      bench.clock.set(.seconds(3600), isSynchronized: true)
      await #expect(throws: Never.self) {
        try await bench.engine.journal.sweep(bench.engine.journal.lanes[0], limit: 10)
      }
      #expect(bench.store[order]?.status == .closed, "its time is really over")
      // From here on the new time is the right one.
      bench.clock.set(.seconds(3600), isSynchronized: false)
      _ = try await bench.order("s")
      bench.clock.set(.zero)
      #expect(await Self.isWrong { _ = try await bench.order("t") })
    }
  }

  /// A node that started with a wrong clock cannot know it by itself: the store's own clock says so.
  @Test(arguments: [3600, -3600]) func theStoresClockIsAsked(seconds: Int) async throws {
    let store = FakeStore()
    let bench = EngineHarness(store: store)
    try await bench.running {
      let order = try await bench.order("r", expiresIn: 60)
      store.setClockLead(.seconds(seconds))
      #expect(await Self.isWrong { try await bench.pay(order, "k") })
      #expect(store[order]?.payments.isEmpty == true)
      store.setClockLead(.seconds(seconds.signum() * 10))
      try await bench.pay(order, "k")
    }
  }

  /// The date is mended while a batch is loaded: what was read before is not decided by.
  @Test func whatWasReadBeforeTheClockWasSetDoesNotCount() async throws {
    let store = FakeStore()
    let bench = EngineHarness(store: store)
    try await bench.running {
      let order = try await bench.order("r", expiresIn: 60)
      bench.clock.set(.seconds(3600))
      store.setClockLead(.zero)
      store.setDuringLoad { bench.clock.set(.zero) }
      _ = try await bench.engine.journal.sweep(bench.engine.journal.lanes[0], limit: 10)
      #expect(store[order]?.status == .open)
      store.setDuringLoad(nil)
      try await bench.pay(order, "k")
    }
  }

  /// Both were set: the store says that this machine is right.
  @Test func aJumpIsBelievedWhereTheStoreAgrees() async throws {
    let store = FakeStore()
    let bench = EngineHarness(store: store)
    try await bench.running {
      store.setClockLead(.zero)
      bench.clock.set(.seconds(7200))
      _ = try await bench.order("r")
      store.setClockLead(nil)
      _ = try await bench.order("s")
    }
  }
}

/// What a process that died was about to learn.
@Suite(.serialized) struct RecoveryTests {
  /// A store with this many orders whose charges were under way when their process died.
  private static func crashed(_ count: Int, _ clock: FakeClock) async throws -> FakeStore {
    let store = FakeStore()
    let silent = FakeProvider { _ in .unknown("") }
    let rules = EngineHarness.rules(silent)
    for number in 0..<count {
      let command = EngineHarness.register("r-\(number)")
      var order = decide(nil, command, by: .payOnce, now: clock.now(), rules: rules).order!
      let pay = Command.pay(order.id, key: IdempotencyKey("k")!, provider: silent.name, method: "ok")
      order = decide(order, pay, by: .payOnce, now: clock.now(), rules: rules).order!
      _ = order.takeCalls(clock.now(), rules: rules)
      store.put(order)
    }
    return store
  }

  @Test func theLeasesOfTheDeadAreAskedAboutAtOnce() async throws {
    let clock = FakeClock()
    // More than one page of them.
    let store = try await Self.crashed(2500, clock)
    clock.advance(by: .seconds(1))
    let provider = FakeProvider { _ in .succeeded(Money(1999, EngineHarness.cny)) }
    let dead = EngineHarness(store: store, provider: provider, clock: clock)
    let count = try await dead.engine.recover(on: [globalConcurrentExecutor])
    #expect(count == 2500)
    #expect(provider.made.isEmpty, "nothing is called before all of them are void")

    let bench = EngineHarness(store: store, provider: provider, clock: clock)
    try await bench.running {
      // Its work takes time of this machine, and the clock that the test moves does not wait for it.
      try await bench.untilLater("all answers", within: .seconds(9), yielding: 2000) { store.paid == 2500 }
    }
    #expect(provider.made.allSatisfy { $0.kind == .query }, "asked, not charged again")
  }

  @Test func whatIsAtRestOrNotDueIsLeftAsItIs() async throws {
    let clock = FakeClock()
    let store = try await Self.crashed(1, clock)
    let command = EngineHarness.register("quiet")
    let quiet = decide(nil, command, by: .payOnce, now: clock.now(), rules: EngineHarness.rules(FakeProvider())).order!
    store.put(quiet)
    #expect(try await EngineHarness(store: store, clock: clock).engine.recover(on: [globalConcurrentExecutor]) == 1)
    #expect(store[quiet.id] == quiet)
    #expect(try await EngineHarness(store: store, clock: clock).engine.recover(on: [globalConcurrentExecutor]) == 0)
  }
}
