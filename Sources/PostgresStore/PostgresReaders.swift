import Foundation
package import PaymentEngine

/// Threads with a connection each, for whoever reads and for whatever is not an order: their round trips block, which no
/// thread of the concurrency pool should.
package final class PostgresReaders: Sendable {
  private struct Job: Sendable {
    let since: Duration
    /// Is given no session when it waited too long, or there is none.
    let run: @Sendable (Result<PostgresConnection, PostgresFailure>) -> Bool
  }

  private let jobs: JobQueue<Job>
  private let clock: any Clock

  /// How long a job may wait for its turn.
  private static let patience: Duration = .seconds(10)

  /// - Parameters:
  ///   - id: unique among all nodes, also earlier ones.
  ///   - count: how many connections there are.
  ///   - limit: how many may wait; one more gets `Fault.overloaded`.
  package init(_ address: PostgresAddress, id: String, clock: any Clock, count: Int = 4, limit: Int = 4096) {
    let jobs = JobQueue<Job>(limit: limit)
    self.jobs = jobs
    self.clock = clock
    for number in 1...count {
      let thread = Thread {
        Thread.current.name = "reader \(number)"
        var session: PostgresSession?
        while let job = jobs.next() {
          guard clock.uptime() - job.since < Self.patience else {
            _ = job.run(.failure(.lost("nobody had time for it")))
            continue
          }
          do throws(PostgresFailure) {
            let open =
              if let session { session } else {
                try PostgresSession(address, id: "\(id)-reader-\(number)", clock: clock)
              }
            // A connection that failed is not used again.
            session = job.run(.success(open.connection)) ? open : nil
          } catch { _ = job.run(.failure(error)) }
        }
      }
      thread.start()
    }
  }

  deinit { jobs.close() }

  /// Makes one round trip after the other on a connection. Should the connection turn out to be dead, all of it is done
  /// once more on a new one.
  func use<Value: Sendable>(
    _ work: @escaping @Sendable (PostgresConnection) throws(PostgresFailure) -> Value
  ) async throws(Fault) -> Value {
    do throws(PostgresFailure) { return try await once(work) } catch .lost {
      do throws(PostgresFailure) { return try await once(work) } catch { throw error.fault }
    } catch { throw error.fault }
  }

  private func once<Value: Sendable>(
    _ work: @escaping @Sendable (PostgresConnection) throws(PostgresFailure) -> Value
  ) async throws(PostgresFailure) -> Value {
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Value, PostgresFailure>, Never>) in
      let job = Job(since: clock.uptime()) { connection in
        var result: Result<Value, PostgresFailure>
        do throws(PostgresFailure) { result = .success(try work(try connection.get())) } catch {
          result = .failure(error)
        }
        continuation.resume(returning: result)
        return if case .success = result { true } else { false }
      }
      if !jobs.add(job) { continuation.resume(returning: .failure(.lost("too many wait for the database"))) }
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
