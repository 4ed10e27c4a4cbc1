import Foundation
import Logging
import PaymentCore
import PaymentEngine
import SQLiteStore
import Synchronization

/// A provider that takes the money at once, in this process.
struct InstantProvider: Provider {
  static let name = ProviderName("instant")
  let name: ProviderName = Self.name
  let sheet = CapabilitySheet(methods: ["ok"], createMovesMoney: true, burning: .close)

  func perform(_ call: Call) async -> Evidence {
    if let refund = call.refund {
      return .refund(.init(refund: refund.id, provider: name, call: call.number, verdict: .succeeded(refund.amount)))
    }
    return .payment(
      .init(
        payment: call.payment.id, provider: name, call: call.number, verdict: .succeeded(call.payment.amount),
        reference: nil))
  }

  func read(_ notice: Notice, now: Instant) -> NoticeReading { .unverified }

  static let rules = Rules(sheets: [name: InstantProvider().sheet], enabled: [name])
}

/// A store that is measured.
final class BenchStore: Sendable {
  let path: String
  let database: SQLiteDatabase
  private let references = Mutex(0)
  static let merchant = MerchantID("mer_bench")

  init(folder: String, name: String) throws {
    path = "\(folder)/\(name).db"
    database = try SQLiteDatabase(path: path, clock: SystemClock())
  }

  func remove() { for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) } }

  /// Registers orders, 250 to a transaction.
  func register(_ count: Int) async throws -> [Order] {
    _ = try await SQLiteDirectory(database).merchant(named: "bench", id: Self.merchant)
    let first = references.withLock { references in
      defer { references += count }
      return references
    }
    let store = SQLiteStore(database)
    var orders: [Order] = []
    for start in stride(from: first, to: first + count, by: 250) {
      var changes = Changeset()
      for number in start..<min(start + 250, first + count) {
        let decision = Self.register(number)
        guard let order = decision.order else { continue }
        changes.orders.append(.init(before: nil, after: order))
        for event in decision.events { changes.events.append((order, event)) }
        orders.append(order)
      }
      _ = try store.load([])
      try store.save(changes)
    }
    return orders
  }

  private static func register(_ number: Int) -> Decision {
    let (now, dice) = (SystemClock().now(), SystemRandomness())
    let registration = Order.Registration(
      merchant: merchant, reference: "order-\(number)", amount: Money(1999, Currency(code: "CNY")!),
      description: "A pound of tea", expiresIn: 86_400)
    let id = OrderID(at: now, merchant: merchant, reference: registration.reference, random: dice.next())
    return decide(
      nil, .register(registration, id: id, checkoutSecret: UInt128(dice.next())), now: now,
      rules: InstantProvider.rules)
  }

  /// A key that nobody used before.
  static func newKey() -> IdempotencyKey { IdempotencyKey(String(SystemRandomness().next(), radix: 36))! }
}

/// A store whose commits are counted.
final class CountedStore: Store {
  private let store: SQLiteStore
  private let count = Mutex(0)
  var commits: Int { count.withLock { $0 } }

  init(_ store: SQLiteStore) { self.store = store }

  func load(_ scopes: [Scope]) throws(Fault) -> [Order] { try store.load(scopes) }

  func save(_ changes: Changeset) throws(Fault) {
    try store.save(changes)
    if !changes.isEmpty { count.withLock { $0 += 1 } }
  }
}

/// The journal and the dispatcher, asked by tasks in the same process.
struct EngineBench {
  private let store: BenchStore
  init(_ store: BenchStore) { self.store = store }

  func measure(payments: Int, callers: Int) async throws -> Rate {
    let orders = try await store.register(payments)
    let counted = CountedStore(SQLiteStore(store.database))
    let engine = Engine(
      stores: [counted], providers: [InstantProvider()], rules: InstantProvider.rules,
      clock: SystemClock(), logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
    let thread = LaneThread(name: "lane")
    return try await withThrowingTaskGroup(of: [Int64].self) { group in
      async let running: Void = engine.run(on: [thread])
      let start = ContinuousClock.now
      for caller in 0..<callers {
        group.addTask {
          var latencies: [Int64] = []
          for index in stride(from: caller, to: orders.count, by: callers) {
            let asked = ContinuousClock.now
            try await Self.pay(orders[index].id, engine)
            latencies.append((ContinuousClock.now - asked).nanoseconds)
          }
          return latencies
        }
      }
      let latencies = try await group.reduce(into: []) { $0 += $1 }
      let duration = ContinuousClock.now - start
      engine.stop()
      await running
      return Rate(count: payments, in: duration, latencies: latencies, commits: counted.commits)
    }
  }

  /// As a request does it: ask, and wait for the outcome.
  private static func pay(_ order: OrderID, _ engine: Engine) async throws {
    let subscription = try engine.changes.subscribe(to: order)
    defer { subscription.end() }
    let outcome = try await engine.journal.submit(
      .pay(order, key: BenchStore.newKey(), provider: InstantProvider.name, method: nil))
    guard case .success(.payment(let id, _, _)) = outcome else { throw SetupError("a payment was refused: \(outcome)") }
    let paid = await subscription.first(within: .seconds(30)) { $0.payment(id)?.status == .succeeded }
    guard paid?.keptPayment?.id == id else { throw SetupError("a payment did not succeed") }
  }
}

extension Duration {
  var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
