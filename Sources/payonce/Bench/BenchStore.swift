import Foundation
import Logging
import OrderRows
import PaymentCore
import PaymentEngine
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
        payment: call.payment, provider: name, call: call.number, verdict: .succeeded(call.amount),
        reference: nil))
  }

  func read(_ notice: Notice, now: Instant) -> NoticeReading { .unverified }

  static let rules = Rules(accounts: [ProviderAccount(InstantProvider()).account], numbering: .sha256)
}

/// A store to measure on.
final class BenchStore: Sendable {
  /// The address of the store, as `--store` takes it.
  let url: String
  let opened: OpenedStore
  private let references = Mutex(0)
  /// Sets this run's orders apart from those that an earlier run left in the same database.
  private let prefix = BenchStore.newKey().text
  static let merchant = MerchantID("mer_bench")

  /// - Parameter lanes: as for `StoreLocation.open`.
  init(_ url: String, lanes: Int = 1) throws {
    self.url = url
    opened = try StoreLocation(url, option: "--store").open(lanes: lanes)
  }

  convenience init(folder: String, name: String) throws { try self.init("sqlite:\(folder)/\(name).db") }

  /// The file, if the store is SQLite.
  var path: String { String(url.dropFirst("sqlite:".count)) }

  func remove() { for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) } }

  /// Registers orders, 250 in a transaction.
  func register(_ count: Int) async throws -> [Order] {
    _ = try await opened.directory.merchant(named: "bench", id: Self.merchant)
    let first = references.withLock { references in
      defer { references += count }
      return references
    }
    let store = opened.writing[0]
    var orders: [Order] = []
    for start in stride(from: first, to: first + count, by: 250) {
      var changes = Changeset()
      for number in start..<min(start + 250, first + count) {
        let decision = Self.register("\(prefix)-\(number)")
        guard let order = decision.order else { continue }
        changes.orders.append(.init(before: nil, after: order))
        for event in decision.events { changes.events.append((order, event)) }
        orders.append(order)
      }
      try store.write(changes)
    }
    return orders
  }

  private static func register(_ reference: String) -> Decision {
    let (now, dice) = (SystemClock().now(), SystemRandomness())
    let registration = Order.Registration(
      merchant: merchant, reference: reference, amount: Money(1999, Currency(code: "CNY")!),
      description: "A pound of tea", expiresIn: 86_400)
    let number = Numbering.sha256.order(registration)
    let id = OrderID(at: now, number: number, random: dice.next())
    return decide(
      nil, .register(registration, number: number, id: id, checkoutSecret: UInt128(dice.next())), by: .payOnce,
      now: now, rules: InstantProvider.rules)
  }

  /// A new random key.
  static func newKey() -> IdempotencyKey { IdempotencyKey(String(SystemRandomness().next(), radix: 36))! }
}

/// Counts the commits of a store.
final class CountedStore: Store {
  private let store: any Store
  private let count = Mutex(0)
  var commits: Int { count.withLock { $0 } }

  init(_ store: any Store) { self.store = store }

  func transact<Answer: Sendable>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer {
    var isWriting = false
    let answer = try store.transact(scopes) { loaded throws(Fault) in
      let decided = try decide(loaded)
      isWriting = !decided.changes.isEmpty
      return decided
    }
    if isWriting { count.withLock { $0 += 1 } }
    return answer
  }
}

/// Measures journal and dispatcher, called by tasks in the same process.
struct EngineBench {
  private let store: BenchStore
  init(_ store: BenchStore) { self.store = store }

  /// - Parameter log: says where PostgreSQL's log ends, if the store is one.
  func measure(payments: Int, callers: Int, log: () throws -> Int64? = { nil }) async throws -> Rate {
    let orders = try await store.register(payments)
    let counted = store.opened.writing.map { CountedStore($0) }
    let engine = Engine(
      stores: counted, accounts: [ProviderAccount(InstantProvider())], numbering: .sha256,
      clock: SystemClock(), logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
    let threads = counted.indices.map { LaneThread(name: "lane \($0 + 1)") }
    let before = ResourceUse(log: try log())
    let rate = try await withThrowingTaskGroup(of: [Int64].self) { group in
      async let running: Void = engine.run(on: threads)
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
      return Rate(count: payments, in: duration, latencies: latencies, commits: counted.map(\.commits).reduce(0, +))
    }
    return rate.costing(ResourceUse(log: try log()).perPayment(since: before, payments))
  }

  /// Pays as a request does: sends the command and waits for the outcome.
  private static func pay(_ order: OrderID, _ engine: Engine) async throws {
    let command = Command.pay(order, key: BenchStore.newKey(), provider: InstantProvider.name, method: nil)
    let (_, paid) = try await engine.journal.perform(command, by: .payOnce, within: .seconds(30)) {
      $1.keptPayment != nil
    }
    guard paid.keptPayment != nil else { throw SetupError("a payment did not succeed") }
  }
}

extension Duration {
  var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
