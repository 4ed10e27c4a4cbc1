import Logging
import PaymentCore
import Synchronization

@testable import PaymentEngine

/// A store in memory that fails as it is told.
final class FakeStore: Store {
  private struct State {
    var orders: [OrderID: Order] = [:]
    var loads: [Int] = []
    var looks: [(after: WakePlace?, share: LaneShare)] = []
    var saves = 0
    var written = 0
    var strays: [Case] = []
    var isOpen = false
    var unreadable: Set<OrderID> = []
    var held: Set<OrderID> = []
    var clockLead: Duration?
    var duringLoad: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())
  /// Runs before each save, and may throw what the save is to throw.
  private let beforeSave: @Sendable (_ number: Int, Changeset) throws(Fault) -> Void

  init(beforeSave: @escaping @Sendable (_ number: Int, Changeset) throws(Fault) -> Void = { _, _ throws(Fault) in }) {
    self.beforeSave = beforeSave
  }

  func transact<Answer>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer {
    let loaded = load(scopes)
    defer { state.withLock { $0.isOpen = false } }
    let decided = try decide(loaded)
    try save(decided.changes)
    return decided.answer
  }

  private func load(_ scopes: [Scope]) -> Loaded {
    state.withLock { $0.duringLoad }?()
    return state.withLock { state in
      precondition(!state.isOpen, "one transaction at a time")
      state.isOpen = true
      state.loads.append(scopes.count)
      var found: [OrderID: Order] = [:]
      var loaded = Loaded()
      loaded.clockLead = state.clockLead
      for scope in scopes {
        let orders = state.orders.values.sorted { $0.id < $1.id }
        switch scope {
        case .order(let id): found[id] = state.orders[id]
        case .number(let number): for order in orders where order.number == number { found[order.id] = order }
        case .due(let now, let place, let limit, let share):
          state.looks.append((place, share))
          let due = orders.compactMap { order in WakePlace(order).map { (place: $0, order: order) } }
            .filter { $0.place.at <= now.milliseconds && $0.place > place ?? .start && share.contains($0.place.id) }
            .sorted { $0.place < $1.place }.prefix(limit)
          for (_, order) in due { found[order.id] = order }
          if due.count == limit { loaded.dueEnd = due.last?.place }
        }
      }
      for order in found.values.sorted(by: { $0.id < $1.id }) {
        if state.held.contains(order.id) {
          loaded.held += scopes.filter { scope in
            switch scope {
            case .order(let id): id == order.id
            case .number(let number): number == order.number
            case .due: false
            }
          }
        } else if state.unreadable.contains(order.id) {
          loaded.unreadable.append(UnreadableOrder(id: order.id.text, number: order.number, table: "payments"))
        } else {
          loaded.orders.append(order)
        }
      }
      return loaded
    }
  }

  private func save(_ changes: Changeset) throws(Fault) {
    let number = state.withLock { state in
      state.saves += 1
      return state.saves
    }
    try beforeSave(number, changes)
    state.withLock { state in
      state.written += changes.orders.count
      for change in changes.orders { state.orders[change.after.id] = change.after }
      state.strays += changes.strays
    }
  }

  /// How many orders are paid.
  var paid: Int { state.withLock { $0.orders.values.count { $0.status == .paid } } }

  func put(_ order: Order) { state.withLock { $0.orders[order.id] = order } }

  func spoil(_ ids: some Sequence<OrderID>) { state.withLock { $0.unreadable.formUnion(ids) } }

  /// Lets another node hold these orders, and no others.
  func hold(_ ids: some Sequence<OrderID>) { state.withLock { $0.held = Set(ids) } }

  /// What happens while orders are on their way.
  func setDuringLoad(_ happens: (@Sendable () -> Void)?) { state.withLock { $0.duringLoad = happens } }

  /// How far this machine's clock is ahead of the store's own; `nil` for a store without one.
  func setClockLead(_ lead: Duration?) { state.withLock { $0.clockLead = lead } }

  var strays: [Case] { state.withLock { $0.strays } }
  subscript(id: OrderID) -> Order? { state.withLock { $0.orders[id] } }
  /// How many scopes each load named.
  var loads: [Int] { state.withLock { $0.loads } }
  /// Where each look at what is due began, and whose it was.
  var looks: [(after: WakePlace?, share: LaneShare)] { state.withLock { $0.looks } }
  var saves: Int { state.withLock { $0.saves } }
  /// How often an order was written, all of them together.
  var written: Int { state.withLock { $0.written } }
}

/// A provider that answers as it is told.
final class FakeProvider: Provider {
  let name: ProviderName
  let sheet = CapabilitySheet(methods: ["ok"], createMovesMoney: true, burning: .close)
  private let calls = Mutex<[Call]>([])
  private let answer: @Sendable (Call) async -> PaymentEvidence.Verdict

  init(
    name: String = "sandbox",
    answer: @escaping @Sendable (Call) async -> PaymentEvidence.Verdict = { .succeeded($0.amount) }
  ) {
    self.name = ProviderName(name)
    self.answer = answer
  }

  func perform(_ call: Call) async -> Evidence {
    calls.withLock { $0.append(call) }
    // It never returned anything.
    if let refund = call.refund, call.kind == .queryRefund {
      return .refund(.init(refund: refund.id, provider: name, call: call.number, verdict: .notFound))
    }
    let verdict = await answer(call)
    return .payment(.init(payment: call.payment, provider: name, call: call.number, verdict: verdict))
  }

  func read(_ notice: Notice, now: Instant) -> NoticeReading { .unverified }

  var made: [Call] { calls.withLock { $0 } }
}

/// Time that passes when it is told to.
final class FakeClock: Clock {
  private struct Sleeper {
    let until: Duration
    let continuation: CheckedContinuation<Void, any Error>
  }
  private struct State {
    var uptime: Duration = .zero
    /// By how much somebody has set the date.
    var jump: Duration = .zero
    var isSynchronized = false
    var sleepers: [Int: Sleeper] = [:]
    var cancelled: Set<Int> = []
    var next = 0
  }
  private let state = Mutex(State())
  static let start = Instant(milliseconds: 1_795_000_000_000)

  func now() -> Instant { state.withLock { Self.start.advanced(by: $0.uptime + $0.jump) } }

  func isSynchronized() -> Bool { state.withLock { $0.isSynchronized } }

  /// Sets the date, by so much off the time that passes.
  func set(_ jump: Duration, isSynchronized: Bool = false) {
    state.withLock { ($0.jump, $0.isSynchronized) = (jump, isSynchronized) }
  }

  func uptime() -> Duration { state.withLock { $0.uptime } }

  func sleep(for duration: Duration) async throws {
    let number = state.withLock { state in
      state.next += 1
      return state.next
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isCancelled = state.withLock { state in
          if state.cancelled.remove(number) != nil { return true }
          state.sleepers[number] = Sleeper(until: state.uptime + duration, continuation: continuation)
          return false
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) }
      }
    } onCancel: {
      let sleeper = state.withLock { state in
        guard let sleeper = state.sleepers.removeValue(forKey: number) else {
          state.cancelled.insert(number)
          return nil as Sleeper?
        }
        return sleeper
      }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }

  func advance(by duration: Duration) {
    let awake = state.withLock { state in
      state.uptime += duration
      let awake = state.sleepers.filter { $0.value.until <= state.uptime }.sorted { $0.key < $1.key }
      for (number, _) in awake { state.sleepers[number] = nil }
      return awake.map(\.value.continuation)
    }
    for continuation in awake { continuation.resume() }
  }
}

/// Something that a test opens once.
final class Gate: Sendable {
  private struct State {
    var isOpen = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Mutex(State())

  func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      state.isOpen = true
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  var waiting: Int { state.withLock { $0.waiting.count } }
  var isOpen: Bool { state.withLock { $0.isOpen } }
}

/// Hears what lines of a level or above say of one thing.
final class FakeLog: Sendable {
  private struct Handler: LogHandler {
    let hears: @Sendable (LogEvent) -> Void
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { hears(event) }
  }
  private let said = Mutex<[String]>([])
  private let key: String
  private let level: Logger.Level

  init(_ key: String, from level: Logger.Level) {
    self.key = key
    self.level = level
  }

  var heard: [String] { said.withLock { $0 } }

  var logger: Logger {
    Logger(label: "test") { _ in
      Handler(
        hears: { event in
          if case .string(let value)? = event.metadata?[self.key] { self.said.withLock { $0.append(value) } }
        }, logLevel: self.level)
    }
  }
}
