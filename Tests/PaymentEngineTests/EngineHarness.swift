import Logging
import PaymentCore
import Simulation
import Synchronization
import Testing

@testable import PaymentEngine

struct TimedOut: Error, CustomStringConvertible {
  let description: String
}

/// Waits until a condition holds; every wait of a test has this limit.
func until(_ what: String, _ condition: () async throws -> Bool) async throws {
  let start = ContinuousClock.now
  while try await !condition() {
    guard ContinuousClock.now - start < .seconds(120) else { throw TimedOut(description: "never came true: \(what)") }
    await Task.yield()
  }
}

/// An engine over fakes, with the commands of one merchant.
struct EngineHarness: Sendable {
  static let merchant = MerchantID("mer_test")
  static let cny = Currency(code: "CNY")!

  let store: FakeStore
  let provider: FakeProvider
  let clock: FakeClock
  let engine: Engine

  init(
    store: FakeStore = FakeStore(), others: [FakeStore] = [], provider: FakeProvider = FakeProvider(),
    beside: [FakeProvider] = [], clock: FakeClock = FakeClock(), logger: Logger = Self.logger, limits: Limits = Limits()
  ) {
    self.store = store
    self.provider = provider
    self.clock = clock
    engine = Engine(
      stores: [store] + others, accounts: ([provider] + beside).map { ProviderAccount($0) }, numbering: .simulated,
      limits: limits, clock: clock, logger: logger)
  }

  static func rules(_ provider: FakeProvider) -> Rules {
    Rules(accounts: [ProviderAccount(provider).account], numbering: .simulated)
  }

  static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  /// Runs the engine while `work` does, and ends it in order.
  func running<Value: Sendable>(_ work: @Sendable () async throws -> Value) async throws -> Value {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await engine.run() }
      let result: Result<Value, any Error>
      do { result = .success(try await work()) } catch { result = .failure(error) }
      engine.stop()
      // Who sleeps sees the end only when time passes.
      group.addTask { [clock] in
        while !Task.isCancelled {
          clock.advance(by: .seconds(1))
          await Task.yield()
        }
      }
      _ = try await group.next()
      group.cancelAll()
      return try result.get()
    }
  }

  static func register(_ reference: String, expiresIn: Int64 = 900) -> Command {
    let registration = Order.Registration(
      merchant: merchant, reference: reference, amount: Money(1999, cny), expiresIn: expiresIn)
    return .register(registration, number: number(reference), id: id(reference), checkoutSecret: 1)
  }

  static func number(_ reference: String) -> OrderNumber { Numbering.simulated.order(merchant, reference) }

  static func id(_ reference: String) -> OrderID {
    let number = number(reference)
    return OrderID(at: FakeClock.start, number: number, random: UInt64(truncatingIfNeeded: number.bits))
  }

  func order(_ reference: String, expiresIn: Int64 = 900) async throws -> OrderID {
    let command = Self.register(reference, expiresIn: expiresIn)
    guard case .success(.order(let order, _)) = try await engine.journal.submit(command, by: .payOnce) else {
      throw TimedOut(description: "the order was refused")
    }
    return order.id
  }

  @discardableResult
  func pay(_ order: OrderID, _ key: String, at other: FakeProvider? = nil) async throws -> Outcome {
    let provider = other ?? provider
    return try await engine.journal.submit(
      .pay(order, key: IdempotencyKey(key)!, provider: provider.name, method: nil), by: .payOnce)
  }

  /// Lets time pass, little by little, until a condition holds.
  /// - Parameter yields: how often others have their turn before the clock goes on.
  func untilLater(
    _ what: String, within limit: Duration = .seconds(3600), yielding yields: Int = 20, _ condition: () -> Bool
  ) async throws {
    let end = clock.uptime() + limit
    while !condition() {
      guard clock.uptime() < end else { throw TimedOut(description: "never came true: \(what)") }
      clock.advance(by: .milliseconds(50))
      for _ in 0..<yields { await Task.yield() }
    }
  }
}

extension Limits {
  /// The usual ones, but for something.
  init(_ change: (inout Limits) -> Void) {
    self.init()
    change(&self)
  }
}
