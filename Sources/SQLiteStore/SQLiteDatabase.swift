import GRDB
import GRDBSQLite
package import OrderRows
import PaymentCore
package import PaymentEngine
import Synchronization

/// The embedded store: one file, one writer, any number of readers.
package struct SQLiteDatabase: Sendable {
  let pool: DatabasePool
  private let patience: Duration
  private let clock: any Clock
  private let underWay = CallsUnderWay()

  /// Opens the file, makes it when there is none, and brings its schema up to date.
  /// - Parameters:
  ///   - path: its folder must exist.
  ///   - patience: how long anybody waits for a file that is busy, or a disk that hangs.
  ///   - clock: by which a read that hangs is given up.
  /// - Throws: `Fault.unavailable` with what is wrong.
  package init(path: String, patience: Duration, clock: any Clock) throws(Fault) {
    self.patience = patience
    self.clock = clock
    pool = try faulting {
      let busyMode = Self.busyMode(patience)
      try Self.refuseOthers(path, busyMode)
      var configuration = Configuration()
      configuration.foreignKeysEnabled = true
      configuration.busyMode = busyMode
      configuration.maximumReaderCount = 4
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

  /// A connection waits for another one's transaction, a little less than anybody waits for the store. It looks often, since
  /// a busy lane leaves the file free for moments only.
  private static func busyMode(_ patience: Duration) -> Database.BusyMode {
    .callback { tries in
      sqlite3_sleep(1)
      return .milliseconds(tries) < patience * 9 / 10
    }
  }

  /// What a file of PayOnce is marked with, as SQLite's `application_id`: `POnc`.
  static let applicationID: Int32 = 0x504F_6E63

  /// - Throws: `Fault.unavailable` when the file belongs to another program. It is not changed, not even its journal's mode.
  private static func refuseOthers(_ path: String, _ busyMode: Database.BusyMode) throws {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = busyMode
    let queue: DatabaseQueue
    // One that is not there yet, or cannot be read: opening it says what is wrong.
    do { queue = try DatabaseQueue(path: path, configuration: configuration) } catch let error as DatabaseError
      where error.resultCode == .SQLITE_CANTOPEN
    { return }
    try queue.read { database in
      let mark = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
      let tables = try String.fetchAll(
        database, sql: "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name LIMIT 1000")
      if mark == 0, tables.isEmpty { return }
      if Set(tables).isSuperset(of: ["grdb_migrations", "merchants", "orders", "payments", "probes"]) {
        throw Fault.unavailable("the file was made by payonce before its first release, and cannot be read any more")
      }
      if mark == applicationID { return }
      let names = tables.prefix(3).map { $0.unicodeScalars.filter { $0.isASCII && $0.value > 0x20 }.prefix(40) }
      let holds = names.isEmpty ? "" : ", it holds \(names.map { String($0) }.joined(separator: ", "))"
      throw Fault.unavailable(
        "the file belongs to another program (its application id is \(mark)\(holds)), and was left as it is")
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

  /// A transaction of its own; a lane of this process waits for it, or it for the lane.
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
    let waiting = Task { [clock, patience] in
      guard (try? await clock.sleep(for: patience)) != nil else { return }
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
    } else if let row = error as? UnreadableRow {
      self = row.fault
    } else if error is ImpossibleOrder {
      self = .conflict
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
