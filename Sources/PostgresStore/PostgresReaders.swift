import Foundation
package import PaymentEngine

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
  private let patience: Duration
  private let clock: any Clock

  /// - Parameters:
  ///   - id: unique among all nodes, also earlier ones.
  ///   - patience: how long a job may wait for its turn.
  ///   - count: how many connections there are.
  ///   - limit: how many may wait; one more gets `Fault.overloaded`.
  package init(
    _ address: PostgresAddress, id: String, patience: Duration, clock: any Clock, count: Int = 4, limit: Int = 4096
  ) {
    (jobs, numbering) = (JobQueue(limit: limit), JobQueue(limit: limit))
    self.patience = patience
    self.clock = clock
    func start(_ name: String, _ jobs: JobQueue<Job>) {
      let thread = Thread {
        Thread.current.name = name
        var session: PostgresSession?
        while let job = jobs.next() {
          if clock.uptime() - job.since > patience {
            job.refuse()
          } else {
            session = job.run(session) { () throws(PostgresFailure) in
              try PostgresSession(address, id: "\(id)-\(name)", clock: clock)
            }
          }
        }
      }
      thread.start()
    }
    for number in 1...count { start("reader-\(number)", jobs) }
    start("numbering", numbering)
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

  /// Gives the events their places that have none, some at a time.
  /// - Returns: whether there may be more.
  func number() async throws(Fault) -> Bool {
    try await run(in: numbering) { connection throws(PostgresFailure) in
      try PostgresNumbering(connection: connection).run()
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

  /// Waits for the next job; `nil` when there will be none.
  func next() -> Job? {
    condition.lock()
    defer { condition.unlock() }
    while jobs.isEmpty, !isClosed { condition.wait() }
    return jobs.isEmpty ? nil : jobs.removeFirst()
  }

  func close() {
    condition.lock()
    isClosed = true
    condition.broadcast()
    condition.unlock()
  }
}
