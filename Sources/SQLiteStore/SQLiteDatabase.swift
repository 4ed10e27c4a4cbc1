import GRDB
package import OrderRows
import PaymentCore
package import PaymentEngine
import Synchronization

/// The embedded store: one file, one writer, any number of readers.
package struct SQLiteDatabase: Sendable {
  let pool: DatabasePool
  private let clock: any Clock
  private let underWay = CallsUnderWay()

  /// Opens the file, makes it when there is none, and brings its schema up to date.
  /// - Parameters:
  ///   - path: its folder must exist.
  ///   - clock: by which a read that hangs is given up.
  /// - Throws: `Fault.unavailable` with what is wrong.
  package init(path: String, clock: any Clock) throws(Fault) {
    self.clock = clock
    pool = try faulting {
      var configuration = Configuration()
      configuration.foreignKeysEnabled = true
      configuration.busyMode = .timeout(5)
      configuration.maximumReaderCount = 4
      // A lane's transaction is opened by one call and ended by the next.
      configuration.allowsUnsafeTransactions = true
      configuration.prepareDatabase { try $0.execute(sql: "PRAGMA cache_size = -16384") }
      let pool = try DatabasePool(path: path, configuration: configuration)
      try pool.writeWithoutTransaction { database in
        // GRDB sets NORMAL for a WAL, with which a commit that was answered can be lost to a power cut.
        try database.execute(sql: "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000")
        let synchronous = try Int.fetchOne(database, sql: "PRAGMA synchronous")
        let journal = try String.fetchOne(database, sql: "PRAGMA journal_mode")
        guard synchronous == 2, journal == "wal" else {
          throw DatabaseError(message: "the file cannot be used with a durable write-ahead log")
        }
      }
      try DatabaseMigrator.payOnce.migrate(pool)
      return pool
    }
  }
}

/// Runs GRDB calls and says what their failure means.
func faulting<Value>(_ work: () throws -> Value) throws(Fault) -> Value {
  do { return try work() } catch { throw Fault(error) }
}

extension SQLiteDatabase {
  /// A snapshot of its own, beside the writer.
  func read<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws(Fault) -> Value {
    try await patiently { [pool] in try await pool.read(work) }
  }

  /// A transaction of its own, not while a lane of this process runs: one of a lane spans two turns of the writer.
  func write<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws(Fault) -> Value {
    try await patiently { [pool] in try await pool.write(work) }
  }

  /// A disk that hangs lets nobody go by itself, so a call that takes too long is given up: what it waits for may still
  /// happen, and until then it counts as under way.
  private func patiently<Value: Sendable>(
    _ work: @escaping @Sendable () async throws -> Value
  ) async throws(Fault) -> Value {
    guard underWay.begin() else { throw .overloaded }
    let (answers, answer) = AsyncStream<Result<Value, Fault>>.makeStream()
    let working = Task { [underWay] in
      defer { underWay.end() }
      do { answer.yield(.success(try await work())) } catch { answer.yield(.failure(Fault(error))) }
    }
    let waiting = Task { [clock] in
      guard (try? await clock.sleep(for: Schedule().storePatience)) != nil else { return }
      answer.yield(.failure(.unavailable("the store does not answer")))
    }
    defer {
      working.cancel()
      waiting.cancel()
    }
    for await first in answers { return try first.get() }
    throw .unavailable("nobody waits for the answer any more")
  }
}

/// How many calls are under way, and whether there may be one more.
private final class CallsUnderWay: Sendable {
  private let count = Mutex(0)
  private static let limit = 4096

  func begin() -> Bool {
    count.withLock { count in
      guard count < Self.limit else { return false }
      count += 1
      return true
    }
  }

  func end() { count.withLock { $0 -= 1 } }
}

extension Fault {
  init(_ error: any Error) {
    if let fault = error as? Fault {
      self = fault
    } else if let error = error as? DatabaseError {
      // A guard of the schema stopped what `decide` should have: decided alone, the command at fault shows itself.
      // The message of SQLite names tables and columns, never values.
      self =
        error.resultCode == .SQLITE_CONSTRAINT
        ? .conflict : .unavailable("SQLite \(error.resultCode.rawValue): \(error.message ?? "no message")")
    } else if let error = error as? UnreadableRow {
      self = .unavailable("a row of \(error.table) cannot be read")
    } else {
      self = .unavailable("\(type(of: error))")
    }
  }
}

extension SQLiteDatabase {
  /// Reads everything, as it stood at one moment, table by table.
  /// - Parameter take: is given some rows of a table at a time.
  package func rows(
    of tables: [WholeTable], atATime count: Int, _ take: (WholeTable, [[Cell?]]) throws -> Void
  ) throws(Fault) {
    try faulting {
      try pool.read { database in
        for table in tables {
          var rows: [[Cell?]] = []
          try database.cachedStatement(sql: "SELECT \(table.list) FROM \(table.name)").run([]) { row in
            rows.append(table.cells(row))
            guard rows.count == count else { return }
            try take(table, rows)
            rows = []
          }
          if !rows.isEmpty { try take(table, rows) }
        }
      }
    }
  }
}
