import Demo
import Hummingbird
import HummingbirdTesting
import Logging
import PaymentCore
import PaymentEngine
import Simulation
import Site
import Synchronization
import Web

/// A store with one merchant and no order or one, which can be told to fail.
final class FakeHouse: Store, Reading, Directory {
  private struct State {
    var fault: Fault?
    var order: Order?
    var keys: [String: StoredKey] = [:]
    var lookUp: (@Sendable (_ id: String) async -> Void)?
  }
  private let state = Mutex(State())
  static let merchant = MerchantID("mer_test")
  /// Whose pages may use the checkout.
  static let origin = "https://shop.example"

  private static let number = Numbering.simulated.order(merchant, "A 1")

  /// The order that it can be told to know.
  static let order = Order(
    id: OrderID(at: Instant(milliseconds: 1_795_000_000_000), number: number, random: 1), number: number,
    registration: .init(
      merchant: merchant, reference: "A 1", amount: Money(1999, Currency(code: "CNY")!), expiresIn: 900),
    checkoutSecret: 7, now: Instant(milliseconds: 1_795_000_000_000), defaultLife: .seconds(900))

  func know() { state.withLock { $0.order = Self.order } }

  func fail(_ fault: Fault?) { state.withLock { $0.fault = fault } }

  /// What happens while a key is looked up.
  func whenLookedUp(_ work: (@Sendable (_ id: String) async -> Void)?) { state.withLock { $0.lookUp = work } }

  private func check() throws(Fault) { if let fault = state.withLock({ $0.fault }) { throw fault } }

  func transact<Answer>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer {
    try check()
    let answer = try decide(Loaded()).answer
    try check()
    return answer
  }

  func order(_ name: OrderName) async throws(Fault) -> Order? {
    try check()
    return state.withLock { $0.order }.flatMap { [.id($0.id), .number($0.number)].contains(name) ? $0 : nil }
  }
  func archived(_ name: OrderName) async throws(Fault) -> ArchivedOrder? { nil }
  func stray(_ id: CaseID) async throws(Fault) -> Case? { nil }
  func orders(
    of merchant: MerchantID, status: Order.Status?, after: OrderID?, limit: Int
  ) async throws(Fault) -> [Order] {
    try check()
    return []
  }
  func orders(
    payableFrom start: Instant, to end: Instant, paidSince: Instant, after: OrderID?, of count: Int
  ) async throws(Fault) -> (orders: [Order], unreadable: [UnreadableOrder], last: OrderID?) {
    try check()
    return ([], [], nil)
  }
  func changed(since known: [OrderID: Int]) async throws(Fault) -> [Order] {
    try check()
    return []
  }
  func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event] {
    try check()
    return []
  }
  func feed(
    of merchant: MerchantID, after position: Int64, limit: Int
  ) async throws(Fault) -> Feed {
    try check()
    return Feed([])
  }

  func waiting(limit: Int) async throws(Fault) -> [Waiting] { [] }

  func storeID() async throws(Fault) -> String {
    try check()
    return "0123456789abcdef"
  }
  func setDisplayName(_ name: String?, of merchant: MerchantID) async throws(Fault) {}
  func mark(of merchant: MerchantID) async throws(Fault) -> Mark? {
    try check()
    return merchant == Self.merchant ? Mark([0xFF, 0xD8, 0xFF]) : nil
  }
  func setMark(_ mark: Mark?, of merchant: MerchantID) async throws(Fault) {}
  func key(_ id: String) async throws(Fault) -> StoredKey? {
    await state.withLock { $0.lookUp }?(id)
    try check()
    return state.withLock { $0.keys[id] }
  }
  func keys() async throws(Fault) -> [StoredKey] { state.withLock { $0.keys.values.sorted { $0.id < $1.id } } }
  func merchant(named name: String, id: MerchantID) async throws(Fault) -> MerchantID { Self.merchant }
  func merchant(_ id: MerchantID) async throws(Fault) -> Merchant? {
    Merchant(id: id, name: "tea", origins: [Self.origin])
  }
  func merchants() async throws(Fault) -> [Merchant] { [] }
  func setOrigin(_ origin: String, of merchant: MerchantID, allowed: Bool) async throws(Fault) {}
  func add(_ key: StoredKey) async throws(Fault) { state.withLock { $0.keys[key.id] = key } }
  func revoke(_ id: String, at now: Instant) async throws(Fault) -> Bool {
    state.withLock { state in
      guard let key = state.keys[id] else { return false }
      state.keys[id] = StoredKey(
        id: key.id, hash: key.hash, holder: key.holder, createdAt: key.createdAt, revokedAt: now)
      return true
    }
  }
}

final class StillClock: PaymentEngine.Clock {
  private let time = Mutex<Duration>(.zero)
  func now() -> Instant { Instant(milliseconds: 1_795_000_000_000) }
  func isSynchronized() -> Bool { true }
  func uptime() -> Duration { time.withLock { $0 } }
  func sleep(for duration: Duration) async throws { throw CancellationError() }
  func advance(by duration: Duration) { time.withLock { $0 += duration } }
}

final class CountingDice: Randomness {
  private let count: Mutex<UInt64>
  init(from count: UInt64 = 0) { self.count = Mutex(count) }
  func next() -> UInt64 {
    count.withLock { count in
      count += 1
      return count &* 0x9E37_79B9_7F4A_7C15
    }
  }
}

/// The gate of a test: its engine, which does not run by itself, and its routes, made anew each time.
struct TestGate: Sendable {
  let engine: Engine
  let routes: @Sendable () -> Routes

  func router() -> Router<WebContext> { routes().router }
}

extension FakeHouse {
  func gate(clock: StillClock = StillClock()) -> TestGate {
    let engine = Engine(
      stores: [self], accounts: [], numbering: .simulated, clock: clock,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let demo = DemoShop(
      merchant: Self.merchant, bankURL: "http://bank.example", network: { "good" }, setNetwork: { _ in },
      books: { _ in nil })
    return TestGate(engine: engine) {
      Gate.routes(
        engine: engine, reading: self, directory: self, randomness: CountingDice(), publicURL: "http://pay.example",
        redirectOrigins: [], demo: demo)
    }
  }

  /// Makes a key of the merchant.
  func newKey() async throws -> AccessKey {
    let key = AccessKey.merchant(CountingDice())
    try await add(
      StoredKey(
        id: key.id, hash: key.hash, holder: .merchant(Self.merchant, name: "tea"),
        createdAt: Instant(milliseconds: 0), revokedAt: nil))
    return key
  }
}
