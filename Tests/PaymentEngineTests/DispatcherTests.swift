import Logging
import PaymentCore
import Synchronization
import Testing

@testable import PaymentEngine

@Suite struct DispatcherTests {
  @Test func aCallThatNeverEndsIsDoubt() async throws {
    let provider = FakeProvider { call in
      if call.kind == .charge {
        // It hears of nothing but its cancellation.
        try? await Task.sleep(for: .seconds(3600))
      }
      return .succeeded(call.amount)
    }
    let bench = EngineHarness(provider: provider)
    try await bench.running {
      let order = try await bench.order("r")
      try await bench.pay(order, "k")
      try await bench.untilLater("doubt") { bench.store[order]?.payments[0].unknownSince != nil }
      let doubted = bench.clock.uptime()
      #expect(doubted >= .seconds(10) && doubted < .seconds(20))
      #expect(bench.store[order]?.payments[0].status == .processing)
      try await bench.untilLater("the answer of the query") { bench.store[order]?.status == .paid }
    }
    #expect(provider.made.map(\.kind) == [.charge, .query])
  }

  @Test func callsToAProviderAreBounded() async throws {
    let running = Mutex((now: 0, most: 0))
    let gate = Gate()
    let provider = FakeProvider { call in
      running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
      await gate.pass()
      running.withLock { $0.now -= 1 }
      return .succeeded(call.amount)
    }
    let bench = EngineHarness(provider: provider, limits: Limits { $0.calls = 3 })
    try await bench.running {
      var orders: [OrderID] = []
      for number in 0..<12 {
        orders.append(try await bench.order("r-\(number)"))
        try await bench.pay(orders[number], "k")
      }
      try await until("as many calls as may be") { gate.waiting == 3 }
      gate.open()
      try await bench.untilLater("all payments") { [orders] in orders.allSatisfy { bench.store[$0]?.status == .paid } }
    }
    #expect(running.withLock { $0.most } == 3)
    #expect(provider.made.count == 12)
  }

  @Test func aProviderThatIsDownIsLeftAlone() async throws {
    let isDown = Mutex(true)
    let provider = FakeProvider { call in
      isDown.withLock { $0 } ? .notSent : .succeeded(call.amount)
    }
    let bench = EngineHarness(provider: provider)
    try await bench.running {
      var orders: [OrderID] = []
      for number in 0..<40 {
        orders.append(try await bench.order("r-\(number)"))
        try await bench.pay(orders[number], "k")
      }
      let start = bench.clock.uptime()
      try await bench.untilLater("five minutes") { bench.clock.uptime() - start > .seconds(300) }
      // Without a breaker 40 payments would have been sent some 20 times each by now.
      #expect(provider.made.count < 40 + 60)
      isDown.withLock { $0 = false }
      try await bench.untilLater("all payments") { [orders] in orders.allSatisfy { bench.store[$0]?.status == .paid } }
      #expect(bench.clock.uptime() - start < .seconds(420))
    }
  }

  @Test func aProviderThatIsTurnedOffIsNamedOnce() {
    let log = FakeLog("provider", from: .warning)
    let dispatcher = Dispatcher(accounts: [], limits: Limits(), clock: FakeClock(), logger: log.logger)
    for name in ["alpha", "beta", "alpha"] {
      #expect(dispatcher.admit(CallPlacesTests.call(1, .charge, provider: name)) == .seconds(60))
    }
    #expect(log.heard == ["alpha", "beta"])
  }

  @Test func theBreakerLetsOneCallFindOut() {
    var breaker = Breaker(limit: 100)
    for _ in 0..<10 {
      #expect(breaker.allows(uptime: .zero))
      breaker.begin()
      breaker.record(isAnswer: false, uptime: .zero)
    }
    #expect(!breaker.allows(uptime: .milliseconds(999)))
    #expect(breaker.allows(uptime: .seconds(1)))
    breaker.begin()
    #expect(!breaker.allows(uptime: .seconds(1)))
    breaker.record(isAnswer: false, uptime: .seconds(1))
    #expect(!breaker.allows(uptime: .milliseconds(2999)))
    #expect(breaker.outage(uptime: .seconds(3)) == .seconds(3))
    #expect(breaker.allows(uptime: .seconds(3)))
    breaker.begin()
    breaker.record(isAnswer: true, uptime: .seconds(3))
    #expect(breaker.allows(uptime: .seconds(3)) && !breaker.isOpen)
    // Step by step, and then as many as before.
    #expect(breaker.width == 2)
    for _ in 0..<200 { breaker.record(isAnswer: true, uptime: .seconds(3)) }
    #expect(breaker.width == 100)
  }
}
