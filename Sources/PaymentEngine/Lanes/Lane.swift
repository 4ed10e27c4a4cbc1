import Logging
import PaymentCore
import Synchronization

/// A queue of commands and the one writer that decides them, batch by batch: a batch forms while the last one commits.
///
/// A class with a bounded queue and not an actor, since an actor's mailbox has no bound. `run` is one loop that is
/// given a thread of its own in production, and its place in a seeded world in simulation.
package final class Lane: Sendable {
  enum Work: Sendable {
    case command(Command, by: Caller)
    case sweep(after: WakePlace?, limit: Int)
    /// Voids the leases of a process that is known to be dead, of orders that are to be woken until then.
    case recover(until: Instant, after: WakePlace?, limit: Int)
    /// Write something and say that it is durable.
    case probe
  }
  enum Answer: Sendable {
    case outcome(Outcome)
    /// How many orders were looked at, and where the next ones begin, if there may be more.
    case swept(Int, next: WakePlace?)
    case written
  }
  private struct Entry {
    let work: Work
    let since: Duration
    let reply: CheckedContinuation<Result<Answer, Fault>, Never>
  }
  private struct State {
    var queue: [Entry] = []
    /// The batch that is being written; `nil` for those that were answered before it was.
    var batch: [Entry?] = []
    var parked: CheckedContinuation<Void, Never>?
    var isClosed = false
  }

  private let state = Mutex(State())
  private let store: any Store
  private let rules: Rules
  private let clock: any Clock
  private let timekeeper: Timekeeper
  private let dispatcher: Dispatcher
  private let listeners: Listeners
  private let unreadable: UnreadableOrders
  private let logger: Logger
  private let limits: Limits
  private let share: LaneShare

  /// How often one command is decided again when another node was faster, and how often a batch of them is.
  private static let attempts = (single: 5, batch: 3)
  /// How often a batch goes on without those that others have changed.
  private static let partings = 8

  /// - Parameters:
  ///   - share: which orders it is for.
  ///   - timekeeper: shared with the other lanes, as are
  ///   - unreadable: the orders that cannot be read.
  init(
    _ share: LaneShare, store: any Store, rules: Rules, clock: any Clock, timekeeper: Timekeeper,
    dispatcher: Dispatcher,
    listeners: Listeners,
    unreadable: UnreadableOrders, limits: Limits, logger: Logger
  ) {
    self.share = share
    self.store = store
    self.rules = rules
    self.clock = clock
    self.timekeeper = timekeeper
    self.dispatcher = dispatcher
    self.listeners = listeners
    self.unreadable = unreadable
    self.logger = logger
    self.limits = limits
  }

  func submit(_ work: Work) async -> Result<Answer, Fault> {
    await withCheckedContinuation { continuation in
      var isTaken = false
      // Evidence and sweeps end what is under way. They have room when nothing new is let in.
      let limit = work.isOwn ? 2 * limits.queue : limits.queue
      let parked = state.withLock { state -> CheckedContinuation<Void, Never>? in
        guard !state.isClosed, state.queue.count < limit else { return nil }
        isTaken = true
        state.queue.append(Entry(work: work, since: clock.uptime(), reply: continuation))
        defer { state.parked = nil }
        return state.parked
      }
      if isTaken { parked?.resume() } else { continuation.resume(returning: .failure(.overloaded)) }
    }
  }

  /// How many commands wait for a batch.
  package var waiting: Int { state.withLock { $0.queue.count } }

  /// Takes no more commands, and lets `run` return once the queue is empty.
  func close() {
    let parked = state.withLock { state in
      state.isClosed = true
      defer { state.parked = nil }
      return state.parked
    }
    parked?.resume()
  }

  /// Decides batch after batch until the lane is closed.
  @concurrent package func run() async {
    while true {
      let (batch, isClosed) = state.withLock { state in
        state.batch = Array(state.queue.prefix(limits.batch))
        state.queue.removeFirst(state.batch.count)
        return (state.batch.map { $0!.work }, state.isClosed)
      }
      if batch.isEmpty {
        if isClosed { return }
        await park()
      } else {
        let answers = answer(batch)
        let entries = state.withLock { state in
          defer { state.batch = [] }
          return state.batch
        }
        for (entry, answer) in zip(entries, answers) { entry?.reply.resume(returning: answer) }
      }
    }
  }

  /// Answers those who have waited too long, since a disk or a network that hangs may never let go.
  /// - Parameter patience: how long a command may wait for its place and its commit.
  package func answerOverdue(_ patience: Duration) {
    let end = clock.uptime() - patience
    let (unwritten, doubtful) = state.withLock { state in
      let unwritten = Array(state.queue.prefix { $0.since <= end })
      state.queue.removeFirst(unwritten.count)
      var doubtful: [Entry] = []
      for index in state.batch.indices {
        guard let entry = state.batch[index], entry.since <= end else { continue }
        doubtful.append(entry)
        state.batch[index] = nil
      }
      return (unwritten, doubtful)
    }
    guard !unwritten.isEmpty || !doubtful.isEmpty else { return }
    logger.error(
      "the store does not answer", metadata: ["waiting": "\(unwritten.count)", "commands": "\(doubtful.count)"])
    for entry in unwritten { entry.reply.resume(returning: .failure(.unavailable("the store does not answer"))) }
    for entry in doubtful { entry.reply.resume(returning: .failure(.unknownCommit)) }
  }

  private func park() async {
    await withCheckedContinuation { continuation in
      let isNeeded = state.withLock { state in
        guard state.queue.isEmpty, !state.isClosed else { return true }
        state.parked = continuation
        return false
      }
      if isNeeded { continuation.resume() }
    }
  }

  /// A command that cannot be decided now, since others hold its order or have just changed it, is answered with `conflict`
  /// at once. Whoever sent it sends it again (`Journal`), and the rest of the batch does not wait for it.
  private func answer(_ work: [Work]) -> [Result<Answer, Fault>] {
    answer(work[...], attempts: work.count > 1 ? Self.attempts.batch : Self.attempts.single, Self.partings)
  }

  /// - Parameters:
  ///   - attempts: how many transactions to try for all of the work together.
  ///   - partings: how often to go on without some of it.
  private func answer(_ work: ArraySlice<Work>, attempts: Int, _ partings: Int) -> [Result<Answer, Fault>] {
    var orders: [OrderID?] = []
    do throws(Fault) { return try commit(Array(work), attempts, &orders) } catch .contested(let changed) {
      // What was only swept has changed, too, and is looked at again.
      let isLeft = orders.map { order in partings > 0 && (order.map { !changed.contains($0) } ?? true) }
      let rest = zip(work, isLeft).filter(\.1).map(\.0)
      var answers = rest.isEmpty ? [][...] : answer(rest[...], attempts: attempts, partings - 1)[...]
      return isLeft.map { $0 ? answers.removeFirst() : .failure(.conflict) }
    } catch .conflict where work.count > 1 {
      // One command may keep the others from being written. Halving finds it in a few transactions.
      let middle = work.startIndex + work.count / 2
      return [work[..<middle], work[middle...]].flatMap { half in
        answer(half, attempts: half.count > 1 ? 1 : Self.attempts.single, partings)
      }
    } catch {
      // The timekeeper has logged a wrong clock already.
      if error != .clockWrong {
        let orders = work.prefix(5).compactMap(\.name?.text).joined(separator: " ")
        logger.error(
          "a batch was not written",
          metadata: ["commands": "\(work.count)", "fault": "\(error)", "orders": "\(orders)"])
      }
      return work.map { _ in .failure(error) }
    }
  }

  private func commit(
    _ work: [Work], _ attempts: Int, _ orders: inout [OrderID?]
  ) throws(Fault) -> [Result<Answer, Fault>] {
    for _ in 1..<attempts {
      do throws(Fault) { return try commitOnce(work, &orders) } catch .conflict { continue }
    }
    return try commitOnce(work, &orders)
  }

  /// - Parameter orders: set to the orders that the commands are about.
  private func commitOnce(
    _ work: [Work], _ orders: inout [OrderID?]
  ) throws(Fault) -> [Result<Answer, Fault>] {
    let (reading, uptime) = (timekeeper.read(), clock.uptime())
    let now = reading.now
    let scopes = work.map { $0.scope(now, share) }
    var (calls, opened): ([Call], [(item: Case, order: Order?)]) = ([], [])
    do throws(Fault) {
      let (answers, published) = try store.transact(scopes.compactMap(\.self)) { loaded throws(Fault) in
        try timekeeper.check(reading, storeLead: loaded.clockLead)
        unreadable.complain(loaded.unreadable)
        var batch = Batch(now: now, rules: rules, loaded: loaded)
        let held = Set(loaded.held)
        let answers = zip(work, scopes).map { work, scope -> Result<Answer, Fault> in
          if let scope, let order = loaded.unreadable.first(where: { $0.isNamed(by: scope) }) {
            return .failure(order.fault)
          }
          if let scope, held.contains(scope) { return .failure(.conflict) }
          return .success(batch.take(work))
        }
        orders = work.map { batch.order(of: $0) }
        calls = batch.leaseCalls(dispatcher)
        opened = batch.changeset.opened
        return (batch.changeset, (answers, batch.published))
      }
      for (item, order) in opened {
        logger.error("a person has to look: see `payonce cases`", metadata: item.metadata(in: order))
      }
      listeners.publish(published)
      dispatcher.enqueue(calls, leasedAt: uptime)
      return answers
    } catch {
      dispatcher.release(calls)
      throw error
    }
  }
}

extension Lane.Work {
  fileprivate var name: OrderName? {
    switch self {
    case .command(let command, _): command.name
    case .sweep, .recover, .probe: nil
    }
  }

  /// Whether it is PayOnce's own and ends something that is under way: evidence, a sweep, an order that is called up, a
  /// recovery, a probe.
  fileprivate var isOwn: Bool {
    switch self {
    case .sweep, .recover, .probe, .command(.evidence, _), .command(.wake, _): true
    case .command: false
    }
  }

  fileprivate func scope(_ now: Instant, _ share: LaneShare) -> Scope? {
    switch self {
    case .probe: nil
    case .sweep(let place, let limit): .due(now, after: place, limit: limit, of: share)
    case .recover(let end, let place, let limit): .due(end, after: place, limit: limit, of: share)
    case .command(let command, _): Scope(command.name)
    }
  }
}
