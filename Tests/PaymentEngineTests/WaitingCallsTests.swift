import PaymentCore
import Synchronization
import Testing

@testable import PaymentEngine

/// Calls for which there is no place now: none of them is forgotten, and the store hears little of their waiting.
@Suite(.serialized) struct WaitingCallsTests {
  private static let action = PaymentEvidence.Verdict.pending(.redirect(url: "https://bank.example/pay"))

  /// Starts a payment of each of so many orders, which have a month.
  private static func pay(_ count: Int, _ bench: EngineHarness, _ prefix: String = "r") async throws -> [OrderID] {
    var orders: [OrderID] = []
    for number in 0..<count {
      orders.append(try await bench.order("\(prefix)-\(number)", expiresIn: 30 * 86_400))
      try await bench.pay(orders[number], "k")
    }
    return orders
  }

  /// Lets time pass, and no faster than the engine does what it has to do meanwhile.
  private static func untilQuietly(
    _ what: String, _ bench: EngineHarness, step: Duration = .milliseconds(200),
    within limit: Duration = .seconds(3600),
    _ condition: () -> Bool
  ) async throws {
    let end = bench.clock.uptime() + limit
    while !condition() {
      guard bench.clock.uptime() < end else { throw TimedOut(description: "never came true: \(what)") }
      bench.clock.advance(by: step)
      var (seen, quiet) = ((-1, -1), 0)
      while quiet < 1000 {
        await Task.yield()
        let now = (bench.store.saves, bench.provider.made.count)
        quiet = now == seen ? quiet + 1 : 0
        seen = now
      }
    }
  }

  private static func pass(_ duration: Duration, _ bench: EngineHarness) async throws {
    let end = bench.clock.uptime() + duration
    try await untilQuietly("a while", bench, step: .seconds(1)) { bench.clock.uptime() >= end }
  }

  @Test func anOutageIsNotWrittenAgainAndAgain() async throws {
    let isDown = Mutex(true)
    let provider = FakeProvider { call in isDown.withLock { $0 } ? .notSent : .succeeded(call.amount) }
    let bench = EngineHarness(provider: provider)
    try await bench.running {
      let orders = try await Self.pay(100, bench)
      let written = bench.store.written
      try await Self.pass(.seconds(1800), bench)
      // Each is put off for a minute, and then for as long as it has waited; calls that find out are written, too.
      #expect(bench.store.written - written < 100 * 8 + 2 * provider.made.count)
      #expect(provider.made.count < 100)
      isDown.withLock { $0 = false }
      // Soon after the next call that finds out; without it most of them would come back many minutes later.
      try await Self.untilQuietly("all payments", bench, within: .seconds(240)) {
        orders.allSatisfy { bench.store[$0]?.status == .paid }
      }
    }
  }

  @Test func whoWaitsForASlowProviderIsNotWrittenAgainAndAgain() async throws {
    let gate = Gate()
    let provider = FakeProvider { call in
      await gate.pass()
      return .succeeded(call.amount)
    }
    let limits = Limits {
      $0.calls = 4
      $0.schedule.callTimeout = .seconds(600)
    }
    let bench = EngineHarness(provider: provider, limits: limits)
    try await bench.running {
      defer { gate.open() }
      let orders = try await Self.pay(100, bench)
      let written = bench.store.written
      try await Self.pass(.seconds(300), bench)
      #expect(bench.store.written - written <= 96 * 3)
      gate.open()
      // Each as soon as there is a place: no time passes.
      try await until("all payments") { orders.allSatisfy { bench.store[$0]?.status == .paid } }
    }
  }

  /// Buyers look at their pages all the time.
  @Test func readersWhoAskDuringAnOutageWriteNothing() async throws {
    let isDown = Mutex(false)
    let provider = FakeProvider { call in isDown.withLock { $0 } ? .notSent : Self.action }
    let bench = EngineHarness(provider: provider)
    try await bench.running {
      let orders = try await Self.pay(20, bench)
      try await Self.untilQuietly("the pages", bench) {
        orders.allSatisfy { bench.store[$0]?.payments[0].action != nil }
      }
      isDown.withLock { $0 = true }
      try await Self.untilQuietly("the outage", bench) { provider.made.count >= 40 }
      try await Self.pass(.seconds(40), bench)
      let (written, calls) = (bench.store.written, provider.made.count)
      for _ in 0..<50 {
        for order in orders {
          let outcome = try await bench.engine.journal.submit(
            .check(PaymentID(order: order, ordinal: 1)), by: .payOnce)
          guard case .success(.payment) = outcome else { throw TimedOut(description: "it was refused") }
        }
      }
      // Some were between two questions of the schedule, and wait in line from now on.
      #expect(bench.store.written - written <= 20 + 2 * (provider.made.count - calls))
    }
  }

  @Test func aChargeIsNotKeptWaitingByPolls() async throws {
    let gate = Gate()
    let provider = FakeProvider { call in
      if call.kind == .query { await gate.pass() }
      return call.kind == .query || call.payment.order == EngineHarness.id("last")
        ? .succeeded(call.amount) : Self.action
    }
    let limits = Limits {
      $0.calls = 8
      $0.schedule.callTimeout = .seconds(600)
    }
    let bench = EngineHarness(provider: provider, limits: limits)
    try await bench.running {
      defer { gate.open() }
      let orders = try await Self.pay(40, bench)
      try await Self.untilQuietly("as many questions as may be", bench) { gate.waiting >= 6 }
      try await Self.pass(.seconds(20), bench)
      #expect(gate.waiting == 6)
      let (last, start) = (try await bench.order("last"), bench.clock.uptime())
      try await bench.pay(last, "k")
      try await until("the payment, without a wait") { bench.store[last]?.status == .paid }
      #expect(bench.clock.uptime() == start)
      gate.open()
      try await Self.untilQuietly("all others", bench) { orders.allSatisfy { bench.store[$0]?.status == .paid } }
    }
  }

  @Test func aSlowProviderTakesNothingFromTheOthers() async throws {
    let gate = Gate()
    let slow = FakeProvider(name: "slow") { call in
      await gate.pass()
      return .succeeded(call.amount)
    }
    let limits = Limits {
      $0.calls = 4
      $0.schedule.callTimeout = .seconds(600)
    }
    let bench = EngineHarness(provider: slow, beside: [FakeProvider(name: "other")], limits: limits)
    let other = FakeProvider(name: "other")
    try await bench.running {
      defer { gate.open() }
      _ = try await Self.pay(50, bench)
      try await until("all its places") { gate.waiting == 4 }
      let (order, start) = (try await bench.order("other"), bench.clock.uptime())
      try await bench.pay(order, "k", at: other)
      try await until("the payment, without a wait") { bench.store[order]?.status == .paid }
      #expect(bench.clock.uptime() == start)
      gate.open()
    }
  }

  @Test func whatWaitsIsHandedBackAtTheEnd() async throws {
    let gate = Gate()
    let provider = FakeProvider { call in
      await gate.pass()
      return .succeeded(call.amount)
    }
    let (store, clock) = (FakeStore(), FakeClock())
    let bench = EngineHarness(store: store, provider: provider, clock: clock, limits: Limits { $0.calls = 2 })
    let orders = try await bench.running {
      defer { gate.open() }
      // More than go back at once.
      let orders = try await Self.pay(300, bench)
      try await until("as many calls as may be") { gate.waiting == 2 }
      bench.engine.stop()
      gate.open()
      return orders
    }
    #expect(provider.made.count == 2)
    #expect(orders.count { store[$0]?.status == .paid } == 2)
    // Due at once when it was written last, and not a minute later.
    #expect(
      orders.allSatisfy {
        store[$0]!.status == .paid || store[$0]!.payments[0].calls.nextAt == store[$0]!.updatedAt
      })
  }

  /// The second payment of an order is sent when the first one's provider has answered about it, also where both have waited
  /// for their turn.
  @Test func aChargeThatIsCalledUpHasNewAnswers() async throws {
    let gate = Gate()
    let isClosed = Mutex(false)
    let provider = FakeProvider { call in
      if call.payment.order == EngineHarness.id("slow-0") { await gate.pass() }
      guard call.payment.order == EngineHarness.id("r"), call.payment.ordinal == 1 else {
        return .succeeded(call.amount)
      }
      if call.kind == .close { isClosed.withLock { $0 = true } }
      return isClosed.withLock { $0 } ? (call.kind == .close ? .closedSoftly : .notFound) : Self.action
    }
    let limits = Limits {
      $0.calls = 1
      $0.schedule.callTimeout = .seconds(600)
    }
    let bench = EngineHarness(provider: provider, limits: limits)
    try await bench.running {
      defer { gate.open() }
      let order = try await bench.order("r")
      try await bench.pay(order, "a")
      try await Self.untilQuietly("its page", bench) { bench.store[order]?.payments[0].action != nil }
      _ = try await bench.engine.journal.submit(.closePayment(PaymentID(order: order, ordinal: 1)), by: .payOnce)
      try await Self.untilQuietly("a soft close", bench) { bench.store[order]?.payments[0].isWatched == true }
      _ = try await Self.pay(1, bench, "slow")
      try await until("the only place") { gate.waiting == 1 }
      try await bench.pay(order, "b")
      try await Self.pass(.seconds(30), bench)
      let opened = bench.clock.now()
      gate.open()
      try await Self.untilQuietly("the payment", bench) { bench.store[order]?.status == .paid }
      let calls = bench.store[order]!.payments
      #expect(calls[0].calls.last!.at >= opened)
    }
  }
}
