import Foundation
package import PaymentEngine
import Synchronization

/// Threads with a connection each, for whoever reads and for whatever is not an order: their round trips block, which no
/// thread of the concurrency pool should.
package final class PostgresReaders: Sendable {
  /// Is given the thread's session, if it has one, and how to get another; gives back the one to go on with. It is told
  /// why when there is to be none.
  private struct Job: Sendable {
    let since: Duration
    let run: @Sendable (PostgresSession?, _ connect: () throws(PostgresFailure) -> PostgresSession) -> PostgresSession?
    let refuse: @Sendable () -> Void
  }

  private let jobs: JobQueue<Job>
  /// For the one thread that gives events their places, so that no reader is held up by who does that on another node.
  private let numbering: JobQueue<Job>
  /// When the last numbering began, and whether it left something.
  private let lastNumbering = Mutex<(start: Duration, isMore: Bool)?>(nil)
  private let patience: Duration
  private let clock: any Clock

  /// - Parameters:
  ///   - id: unique among all nodes, also earlier ones.
  ///   - patience: how long a job may wait for its turn.
  ///   - count: how many connections there are.
  ///   - limit: how many may wait; one more gets `Fault.overloaded`.
  ///   - isServing: whether events get their places although nobody reads a feed, so that the queue does not grow.
  package init(
    _ address: PostgresAddress, id: String, patience: Duration, clock: any Clock, count: Int = 4, limit: Int = 4096,
    isServing: Bool = false
  ) {
    (jobs, numbering) = (JobQueue(limit: limit), JobQueue(limit: limit))
    self.patience = patience
    self.clock = clock
    func start(_ name: String, _ jobs: JobQueue<Job>, numbersWhenIdle: Bool = false) {
      let thread = Thread {
        Thread.current.name = name
        var session: PostgresSession?
        func connect() throws(PostgresFailure) -> PostgresSession {
          try PostgresSession(address, id: "\(id)-\(name)", clock: clock)
        }
        while true {
          switch jobs.next(within: numbersWhenIdle ? Self.idleness : nil) {
          case .job(let job) where clock.uptime() - job.since > patience: job.refuse()
          case .job(let job): session = job.run(session, connect)
          case .none:
            // Where it does not work, whoever asks for it is told so.
            session = try? session ?? connect()
            do throws(PostgresFailure) {
              if let session { try Self.numberQueued(session.connection) }
            } catch { session = nil }
          case .end: return
          }
        }
      }
      thread.start()
    }
    for number in 1...count { start("reader-\(number)", jobs) }
    start("numbering", numbering, numbersWhenIdle: isServing)
  }

  deinit {
    jobs.close()
    numbering.close()
  }

  /// Makes one round trip after the other on a connection. Should that turn out to be dead, all of it is done once more on
  /// a new one: what writes must bear to be repeated.
  func use<Value: Sendable>(
    _ work: @escaping @Sendable (PostgresConnection) throws(PostgresFailure) -> Value
  ) async throws(Fault) -> Value { try await run(in: jobs, work) }

  /// Makes one round trip, and reads its results.
  func read<Value: Sendable>(
    _ calls: [PostgresCall], _ parse: @escaping @Sendable ([PostgresResult]) throws -> Value
  ) async throws(Fault) -> Value {
    try await use { connection throws(PostgresFailure) in
      let results = try connection.run(calls, within: PostgresSession.limit)
      do { return try parse(results) } catch { throw PostgresFailure(reading: error) }
    }
  }

  /// After how many seconds without anybody who asks events get their places all the same.
  private static let idleness = 1.0

  private static func numberQueued(_ connection: PostgresConnection) throws(PostgresFailure) {
    let found = try connection.run([PostgresNumbering.hasQueued], within: PostgresSession.limit)
    if !found[0].rows.isEmpty { _ = try PostgresNumbering(connection: connection).run() }
  }

  /// Gives the events their places that have none, some at a time. Who asked before one began shares it.
  /// - Returns: whether there may be more.
  func number() async throws(Fault) -> Bool {
    let askedAt = clock.uptime()
    return try await run(in: numbering) { [self] connection throws(PostgresFailure) in
      if let last = lastNumbering.withLock({ $0 }), last.start >= askedAt { return last.isMore }
      let start = clock.uptime()
      let isMore = try PostgresNumbering(connection: connection).run()
      lastNumbering.withLock { $0 = (start, isMore) }
      return isMore
    }
  }

  private func run<Value: Sendable>(
    in jobs: JobQueue<Job>, _ work: @escaping @Sendable (PostgresConnection) throws(PostgresFailure) -> Value
  ) async throws(Fault) -> Value {
    let result: Result<Value, Fault> = await withCheckedContinuation { continuation in
      let since = clock.uptime()
      let job = Job(since: since) { [clock, patience] session, connect in
        var session = session
        while true {
          let isOld = session != nil
          do throws(PostgresFailure) {
            var open = if let session { session } else { try connect() }
            let value = try work(open.connection)
            try open.confirm(clock)
            continuation.resume(returning: .success(value))
            return open
          } catch {
            // A connection that failed is not used again, whatever state it is in.
            session = nil
            if case .lost = error, isOld, clock.uptime() - since < patience { continue }
            continuation.resume(returning: .failure(error.fault))
            return nil
          }
        }
      } refuse: {
        continuation.resume(returning: .failure(.overloaded))
      }
      if !jobs.add(job) { job.refuse() }
    }
    return try result.get()
  }
}

/// Jobs for a few threads.
private final class JobQueue<Job: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private let limit: Int
  // Guarded by `condition`.
  private var jobs: [Job] = []
  private var isClosed = false

  init(limit: Int) { self.limit = limit }

  /// - Returns: whether there was a place.
  func add(_ job: Job) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    guard jobs.count < limit, !isClosed else { return false }
    jobs.append(job)
    condition.signal()
    return true
  }

  enum Next {
    case job(Job)
    /// There is none within the time.
    case none
    /// There will be none.
    case end
  }

  /// Waits for the next job.
  /// - Parameter seconds: how long at most; `nil` for as long as it takes.
  func next(within seconds: Double?) -> Next {
    condition.lock()
    defer { condition.unlock() }
    let end = seconds.map { Date(timeIntervalSinceNow: $0) }
    while jobs.isEmpty, !isClosed {
      if let end {
        guard condition.wait(until: end) else { return .none }
      } else {
        condition.wait()
      }
    }
    return jobs.isEmpty ? .end : .job(jobs.removeFirst())
  }

  func close() {
    condition.lock()
    isClosed = true
    condition.broadcast()
    condition.unlock()
  }
}
