import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import PaymentCore
import PaymentEngine
import Simulation
import Site
import Synchronization
import Testing
import Web

/// A gate at work, in this process: a store in memory, the engine, and a bank that does as a test says.
struct LivingHouse: Sendable {
  static let merchant = MerchantID("mer_test")

  let store = FailingStore()
  let bank = ScriptedBank()
  let clock = HastyClock()
  let gate: TestGate

  init() {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let engine = Engine(
      stores: [store], accounts: [ProviderAccount(bank)], numbering: .simulated, clock: clock, logger: logger)
    let orders = store.orders
    gate = TestGate(engine: engine) {
      Gate.routes(
        engine: engine, reading: orders, directory: orders, randomness: CountingDice(),
        publicURL: "http://pay.example", redirectOrigins: [], demo: nil)
    }
  }

  var router: Router<WebContext> { gate.router() }
  /// How many requests and pages wait for news.
  var waiting: Int { gate.engine.listeners.count }

  /// Opens the house to a visitor who has a key of its merchant, and closes it in order.
  func open(_ visit: @Sendable (Visitor) async throws -> Void) async throws {
    let visitorsKey = try await newKey("tea", Self.merchant, from: 0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { await gate.engine.run() }
      let result: Result<Void, any Error>
      do {
        result = .success(
          try await Application(router: router).test(.router) { client in
            try await visit(Visitor(client: client, key: visitorsKey))
          })
      } catch { result = .failure(error) }
      bank.letGo()
      gate.engine.stop()
      _ = try await group.next()
      try result.get()
    }
  }

  /// A key of a merchant, who is made if there is none of this name.
  func newKey(_ name: String, _ id: MerchantID, from number: UInt64) async throws -> AccessKey {
    let key = AccessKey.merchant(CountingDice(from: number))
    let merchant = try await store.orders.merchant(named: name, id: id)
    try await store.orders.add(
      StoredKey(
        id: key.id, hash: key.hash, holder: .merchant(merchant, name: name), createdAt: clock.now(), revokedAt: nil))
    return key
  }
}

extension LivingHouse {
  /// An operator's login.
  func newLogin(_ name: String) async throws -> AccessKey {
    let key = AccessKey.operator(CountingDice(from: 77))
    try await store.orders.add(
      StoredKey(id: key.id, hash: key.hash, holder: .operator(name: name), createdAt: clock.now(), revokedAt: nil))
    return key
  }
}

/// Waits until a condition holds; every wait of a test has this limit.
func until(_ what: String, _ condition: () async throws -> Bool) async throws {
  let start = ContinuousClock.now
  while try await !condition() {
    try #require(ContinuousClock.now - start < .seconds(60), "never came true: \(what)")
    await Task.yield()
  }
}

/// A store in memory that can be told to fail.
final class FailingStore: Store {
  let orders = SimulatedStore()
  private let fault = Mutex<Fault?>(nil)

  func fail(_ fault: Fault?) { self.fault.withLock { $0 = fault } }

  func transact<Answer>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer {
    try orders.transact(scopes) { (loaded) throws(Fault) in
      let decided = try decide(loaded)
      if let fault = fault.withLock({ $0 }) { throw fault }
      return decided
    }
  }
}

/// A bank that takes what it is asked for, unless a test says otherwise; its refunds succeed.
final class ScriptedBank: Provider {
  typealias Verdict = PaymentEvidence.Verdict

  let name = ProviderName("sandbox")
  let sheet = CapabilitySheet(methods: ["ok"], createMovesMoney: true, burning: .close)
  private struct State {
    var charge: Verdict?
    var query: Verdict?
    var isHolding = false
    var held: [CheckedContinuation<Void, Never>] = []
    var notice = NoticeReading.unverified
  }
  private let state = Mutex(State())

  /// What it says to the next charges; `nil` that it took the money.
  func answer(charges verdict: Verdict?) { state.withLock { $0.charge = verdict } }
  /// What it says when it is asked about a payment.
  func answer(queries verdict: Verdict) { state.withLock { $0.query = verdict } }
  /// What the next notices prove.
  func send(_ notice: NoticeReading) { state.withLock { $0.notice = notice } }
  /// Answers no more, until it is let go.
  func hold() { state.withLock { $0.isHolding = true } }

  func letGo() {
    let held = state.withLock { state in
      state.isHolding = false
      defer { state.held = [] }
      return state.held
    }
    for continuation in held { continuation.resume() }
  }

  func perform(_ call: Call) async -> Evidence {
    await withCheckedContinuation { continuation in
      let isHeld = state.withLock { state in
        if state.isHolding { state.held.append(continuation) }
        return state.isHolding
      }
      if !isHeld { continuation.resume() }
    }
    if let refund = call.refund {
      return .refund(.init(refund: refund.id, provider: name, call: call.number, verdict: .succeeded(refund.amount)))
    }
    let verdict = state.withLock { call.kind == .charge ? $0.charge : $0.query } ?? .succeeded(call.amount)
    return .payment(.init(payment: call.payment, provider: name, call: call.number, verdict: verdict))
  }

  func read(_ notice: Notice, now: Instant) -> NoticeReading { state.withLock { $0.notice } }
}

/// Time that passes as it does everywhere, and at once when a test says so.
final class HastyClock: PaymentEngine.Clock {
  private let start = ContinuousClock.now
  private let ahead = Mutex<Duration>(.zero)

  func uptime() -> Duration { ContinuousClock.now - start + ahead.withLock { $0 } }
  func now() -> Instant { Instant(milliseconds: 1_795_000_000_000).advanced(by: uptime()) }
  func isSynchronized() -> Bool { true }
  func skip(_ duration: Duration) { ahead.withLock { $0 += duration } }

  func sleep(for duration: Duration) async throws {
    let end = uptime() + duration
    while uptime() < end { try await Task.sleep(for: .milliseconds(1)) }
  }
}

/// Somebody with a key.
struct Visitor: Sendable {
  let client: any TestClientProtocol
  let key: AccessKey

  func get(_ path: String, _ headers: HTTPFields = [:]) async throws -> Answer {
    try await send(.get, path, headers, nil)
  }

  func post(
    _ path: String, _ body: String = "", key: String? = nil, headers: HTTPFields = [:]
  ) async throws -> Answer {
    var headers = headers
    if let key { headers[.idempotencyKey] = key }
    return try await send(.post, path, headers, body)
  }

  func send(
    _ method: HTTPRequest.Method, _ path: String, _ headers: HTTPFields, _ body: String?
  ) async throws -> Answer {
    var headers = headers
    headers[.authorization] = "Bearer \(key.text)"
    return try await client.execute(
      uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) }
    ) { response in
      Answer(status: response.status.code, headers: response.headers, text: String(buffer: response.body))
    }
  }

  /// Registers an order of 19.99 CNY.
  func order(_ reference: String) async throws -> Answer {
    let answer = try await post("/v1/orders", #"{"reference":"\#(reference)","amount":1999,"currency":"CNY"}"#)
    try #require(answer.status == 201, "\(answer.text)")
    return answer
  }

  func pay(_ order: Answer, key: String) async throws -> Answer {
    try await post("/v1/orders/\(order["id"])/payments", #"{"provider":"sandbox"}"#, key: key)
  }
}

/// What came back.
struct Answer: Sendable {
  let status: Int
  let headers: HTTPFields
  let text: String

  /// What stands at a place such as `payment.status` or `data.0.id`, as text; empty where nothing does.
  subscript(_ path: String) -> String {
    var node: Any? = try? JSONSerialization.jsonObject(with: Data(text.utf8))
    for name in path.split(separator: ".") {
      if let list = node as? [Any], let index = Int(name) {
        node = list.indices.contains(index) ? list[index] : nil
      } else {
        node = (node as? [String: Any])?[String(name)]
      }
    }
    return node.map { $0 is NSNull ? "null" : "\($0)" } ?? ""
  }

  /// The ids of a list.
  var ids: [String] {
    let body = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    return (body?["data"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
  }

  /// The path of an order's checkout.
  var checkout: String { String(self["checkout_url"].dropFirst("http://pay.example".count)) }
}
