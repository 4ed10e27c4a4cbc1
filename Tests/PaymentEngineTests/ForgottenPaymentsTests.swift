import PaymentCore
import Simulation
import Synchronization
import Testing

@testable import PaymentEngine

/// Two providers, and a store that has forgotten what they did.
@Suite struct ForgottenPaymentsTests {
  private static let (tea, coffee) = (ProviderName("tea"), ProviderName("coffee"))
  private static let start = FakeClock().now()

  /// What a provider knows, by the numbers of its payments.
  private static func provider(
    _ name: ProviderName, _ known: [Int: PaymentEvidence.Verdict] = [:]
  ) -> FakeProvider {
    FakeProvider(name: name.text) { call in known[call.payment.ordinal] ?? .notFound }
  }

  private static func order(_ number: Int) -> OrderID {
    OrderID(at: start, number: EngineHarness.number("\(number)"), random: UInt64(number))
  }

  /// Looks for what was forgotten of orders of which each has the payments that `tea` knows nothing of.
  private func find(
    _ providers: [FakeProvider], orders: Int = 1, paid: Int = 0, attempts: Int = 1
  ) async throws -> (store: SimulatedStore, findings: [ForgottenPayments.Finding], count: Int) {
    let (store, clock) = (SimulatedStore(), FakeClock())
    _ = try await store.merchant(named: "tea", id: EngineHarness.merchant)
    let engine = Engine(
      stores: [store], accounts: providers.map { ProviderAccount($0) }, numbering: .simulated, clock: clock,
      logger: EngineHarness.logger)
    let findings = Mutex<[ForgottenPayments.Finding]>([])
    var count = 0
    try await withThrowingTaskGroup(of: Void.self) { group in
      defer { engine.stop() }
      group.addTask { await engine.run() }
      for number in 0..<orders {
        let registration = Order.Registration(
          merchant: EngineHarness.merchant, reference: "\(number)", amount: Money(100, EngineHarness.cny),
          expiresIn: 1_000_000)
        let id = Self.order(number)
        let command = Command.register(
          registration, number: EngineHarness.number("\(number)"), id: id, checkoutSecret: 1)
        _ = try await engine.journal.submit(command, by: .payOnce)
        for key in 0..<paid {
          _ = try await engine.journal.submit(
            .pay(id, key: IdempotencyKey("\(key)")!, provider: providers[0].name, method: nil), by: .payOnce)
          _ = try await engine.journal.submit(.closePayment(PaymentID(order: id, ordinal: key + 1)), by: .payOnce)
        }
      }
      let forgotten = ForgottenPayments(
        reading: store, journal: engine.journal, providers: providers, numbering: .simulated,
        clock: clock)
      group.addTask {
        while !Task.isCancelled {
          clock.advance(by: .milliseconds(10))
          await Task.yield()
        }
      }
      count = try await forgotten.find(from: Self.start, to: Self.start.advanced(by: .seconds(60))) { finding in
        findings.withLock { $0.append(finding) }
      }.orders
      engine.stop()
      _ = try await group.next()
      group.cancelAll()
    }
    return (store, findings.withLock { $0 }, count)
  }

  @Test func everyOrderIsAskedAboutAtEveryProvider() async throws {
    let providers = [Self.provider(Self.tea), Self.provider(Self.coffee)]
    let (store, findings, count) = try await find(providers, orders: 205)
    #expect(count == 205 && findings.isEmpty)
    for provider in providers {
      #expect(Set(provider.made.map(\.payment.order)).count == 205)
      #expect(provider.made.allSatisfy { $0.kind == .query && $0.payment.ordinal <= 5 })
    }
    #expect(store[Self.order(0)]?.payments.isEmpty == true, "what nobody knows is not taken in")
  }

  @Test func whatIsFoundIsTakenInUntilNothingMoreIs() async throws {
    let coffee = Self.provider(
      Self.coffee, [1: .failed(Failure(code: "no_funds", message: "")), 2: .succeeded(Money(100, EngineHarness.cny))])
    let (store, findings, _) = try await find([Self.provider(Self.tea), coffee])
    #expect(findings.count == 2)
    let order = try #require(store[Self.order(0)])
    #expect(order.payments.map(\.provider) == [Self.coffee, Self.coffee])
    #expect(order.status == .paid && order.keptPayment?.id.ordinal == 2)
  }

  @Test func aNumberThatNobodyKnowsHidesNoLaterOne() async throws {
    let money = PaymentEvidence.Verdict.succeeded(Money(100, EngineHarness.cny))
    let (store, findings, _) = try await find([Self.provider(Self.tea, [3: money])])
    #expect(findings.count == 1)
    let order = try #require(store[Self.order(0)])
    #expect(order.status == .paid && order.keptPayment?.id.ordinal == 3)
    #expect(order.payments[..<2].allSatisfy { $0.status == .closed })
  }

  @Test func whoNeverAnswersIsGivenUp() async throws {
    let (_, findings, count) = try await find([FakeProvider(name: "tea") { _ in .unknown("") }], orders: 205)
    #expect(count < 100 && findings.count < 200)
  }

  @Test func moneyUnderTheNumberOfAnotherPaymentIsACase() async throws {
    let money = PaymentEvidence.Verdict.succeeded(Money(100, EngineHarness.cny))
    let known = Self.provider(Self.tea, [1: .closed])
    let (store, findings, _) = try await find([known, Self.provider(Self.coffee, [1: money])], paid: 1)
    #expect(findings.count == 1)
    let order = try #require(store[Self.order(0)])
    #expect(order.payments.count == 1 && order.cases.map(\.reason) == [.unknownPayment])
    #expect(order.cases[0].provider == Self.coffee)

    let both = try await find([Self.provider(Self.tea, [1: money]), Self.provider(Self.coffee, [1: money])])
    let twice = try #require(both.store[Self.order(0)])
    #expect(twice.status == .paid && twice.payments.count == 1 && twice.cases.map(\.provider) == [Self.coffee])
  }

  @Test func whoDoesNotAnswerIsAskedAgainAndTold() async throws {
    let asked = Mutex(0)
    let slow = FakeProvider(name: "tea") { call in
      guard call.payment.ordinal == 1 else { return .notFound }
      return asked.withLock { asked in
        asked += 1
        return asked == 1 ? .unknown("") : asked == 2 ? .notSent : .succeeded(Money(100, EngineHarness.cny))
      }
    }
    let (store, findings, _) = try await find([slow])
    #expect(findings.count == 1 && store[Self.order(0)]?.status == .paid)

    let down = try await find([FakeProvider(name: "tea") { _ in .unknown("") }])
    guard case .unanswered? = down.findings.first else {
      Issue.record("it was not told")
      return
    }
    #expect(down.store[Self.order(0)]?.payments.isEmpty == true)
  }
}
