import PaymentCore
import Testing

@testable import PaymentEngine

@Suite struct PerformTests {
  private static func pay(_ order: OrderID, _ key: String = "k") -> Command {
    .pay(order, key: IdempotencyKey(key)!, provider: ProviderName("sandbox"), method: nil)
  }

  private static func bench(_ gate: Gate) -> EngineHarness {
    EngineHarness(
      provider: FakeProvider { _ in
        await gate.pass()
        return .succeeded(Money(1999, EngineHarness.cny))
      })
  }

  @Test func theOutcomeIsWaitedFor() async throws {
    let gate = Gate()
    let bench = Self.bench(gate)
    try await bench.running {
      let id = try await bench.order("r")
      async let performed = bench.engine.journal.perform(Self.pay(id), by: .payOnce, within: .seconds(60)) {
        $1.status == .paid
      }
      try await until("the call") { gate.waiting == 1 }
      #expect(bench.engine.listeners.count == 1)
      gate.open()
      let (reply, order) = try await performed
      #expect(reply == .payment(PaymentID(order: id, ordinal: 1), of: try #require(reply.paid), isRepeat: false))
      #expect(reply.paid?.status == .open && order.status == .paid)
      #expect(bench.engine.listeners.count == 0)
    }
  }

  /// A command that changes nothing is published to nobody.
  @Test(.timeLimit(.minutes(5))) func whatIsSoAlreadyIsNotWaitedFor() async throws {
    let gate = Gate()
    gate.open()
    let bench = Self.bench(gate)
    try await bench.running {
      let id = try await bench.order("r")
      for isRepeat in [false, true] {
        let (reply, order) = try await bench.engine.journal.perform(Self.pay(id), by: .payOnce, within: .seconds(3600))
        {
          $1.status == .paid
        }
        guard case .payment(_, _, isRepeat) = reply else { throw TimedOut(description: "\(reply)") }
        #expect(order.status == .paid)
      }
    }
    #expect(bench.clock.uptime() < .seconds(3600))
  }

  @Test func whenTheTimeIsOverTheOrderIsAsItIs() async throws {
    let gate = Gate()
    let bench = Self.bench(gate)
    try await bench.running {
      let id = try await bench.order("r")
      let (_, order) = try await bench.engine.journal.perform(Self.pay(id), by: .payOnce, within: .zero) { _, _ in false
      }
      #expect(order.livePayment?.status == .processing)
      gate.open()
    }
  }

  @Test func nobodyListensAfterARefusalOrAFault() async throws {
    let store = FakeStore { _, changes throws(Fault) in
      if changes.orders.contains(where: { !$0.after.payments.isEmpty }) { throw .unavailable("gone") }
    }
    let bench = EngineHarness(store: store)
    try await bench.running {
      let id = try await bench.order("r")
      await #expect(throws: Refusal.self) {
        try await bench.engine.journal.perform(Self.pay(EngineHarness.id("other")), by: .payOnce, within: .seconds(9)) {
          _, _ in
          true
        }
      }
      await #expect(throws: Fault.unavailable("gone")) {
        try await bench.engine.journal.perform(Self.pay(id), by: .payOnce, within: .seconds(9)) { _, _ in true }
      }
      #expect(bench.engine.listeners.count == 0)
    }
  }

  /// Another node may have written what the command found; a call may have come home before its request woke up.
  @Test(arguments: [(nil, 2, 2), (1, 2, 2), (2, 2, 2), (3, 2, 3)] as [(Int?, Int, Int)])
  func theNewestStateIsTheFirst(_ published: Int?, _ answered: Int, _ newest: Int) async throws {
    let listeners = Listeners(clock: FakeClock())
    let subscription = try listeners.subscribe(to: EngineHarness.id("r"))
    if let published { listeners.publish([ListenersTests.version(published)]) }
    subscription.begin(with: ListenersTests.version(answered))
    #expect(await subscription.first(within: .zero) { _ in false }?.version == newest)
    subscription.end()
  }

  /// What a node answers itself is not what it has heard of the others: a poll of the store brings that once in any case,
  /// since an answer of a provider need not change the version.
  @Test func whatAnotherNodeDidIsHeardOnce() throws {
    let listeners = Listeners(clock: FakeClock())
    let subscription = try listeners.subscribe(to: EngineHarness.id("r"))
    subscription.begin(with: ListenersTests.version(2))
    #expect(listeners.heard.map(\.1) == [-1])
    listeners.publish([ListenersTests.version(2)])
    #expect(listeners.heard.map(\.1) == [2])
    subscription.end()
  }

  @Test func listeningEndsWithTheWork() async throws {
    let listeners = Listeners(clock: FakeClock(), places: ListenersTests.places { $0.commands = 1 })
    let order = EngineHarness.id("r")
    try await listeners.withSubscription(to: order) { _ in
      #expect(listeners.count == 1)
      await #expect(throws: Fault.overloaded) { try await listeners.withSubscription(to: order) { _ in } }
    }
    await #expect(throws: TimedOut.self) {
      try await listeners.withSubscription(to: order) { _ in throw TimedOut(description: "the work failed") }
    }
    #expect(listeners.count == 0)
  }
}

extension Reply {
  fileprivate var paid: Order? { if case .payment(_, let order, _) = self { order } else { nil } }
}
