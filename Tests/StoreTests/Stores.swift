import Foundation
import GRDB
import OrderRows
import PaymentCore
import PaymentEngine
import SQLiteStore
import Simulation
import Testing

@testable import PostgresStore

/// An opened store, with everything that reads and writes it.
struct OpenStore: Sendable {
  let store: any Store
  let reading: any Reading
  let directory: any Directory
  /// What moves orders out of it, where it has that.
  var archiving: (any Archiving)?
  var stored: (any StoredOrderReading)?
  /// Opens the same data once more, as another process would.
  let again: @Sendable () throws -> OpenStore
  /// Runs a statement of SQL beside PayOnce, as a person or a newer program could.
  var run: @Sendable (_ sql: String) throws -> Void = { _ in throw Fault.unavailable("it has no SQL") }
  /// The number that a query answers, where there is SQL.
  var count: (@Sendable (_ sql: String) throws -> Int64?)?
}

/// A kind of store that must keep the contract.
struct StoreKind: CustomTestStringConvertible, Sendable {
  let testDescription: String
  /// Opens an empty one.
  let open: @Sendable () throws -> OpenStore

  /// PostgreSQL only where `scripts/postgres.sh` started one, as `make test` does.
  static let all = [simulated] + withSQL
  static let withSQL = [sqlite] + (server == nil ? [] : [postgres])

  private static let server = ProcessInfo.processInfo.environment["PAYONCE_TEST_POSTGRES"]

  static var hasPostgres: Bool { server != nil }

  var isPostgres: Bool { testDescription == "PostgreSQL" }

  /// Bytes as SQL.
  func literal(_ bytes: [UInt8]) -> String {
    let digits = bytes.map { String(format: "%02x", $0) }.joined()
    return isPostgres ? "'\\x\(digits)'" : "x'\(digits)'"
  }

  static let postgres = StoreKind(testDescription: "PostgreSQL") { openPostgres(try newPostgres()) }

  /// An empty database with its tables.
  static func newPostgres(options: String = "") throws -> PostgresAddress {
    let name = "t_\(UUID().uuidString.lowercased().filter { $0 != "-" })"
    let psql = Process()
    psql.executableURL = URL(filePath: "/usr/bin/env")
    psql.arguments = ["psql", "--quiet", "--no-psqlrc", "--dbname", server!, "--command", "CREATE DATABASE \(name)"]
    try psql.run()
    psql.waitUntilExit()
    try #require(psql.terminationStatus == 0)
    let query = options.isEmpty ? "" : "?options=" + options.replacing(" ", with: "%20").replacing("=", with: "%3D")
    let address = try PostgresAddress(url: server![...server!.lastIndex(of: "/")!] + name + query)
    try PostgresMigrator.migrate(address, clock: RealClock())
    return address
  }

  static func writer(_ address: PostgresAddress, id: String) -> PostgresStore {
    PostgresStore(address, id: id, clock: RealClock())
  }

  static func openPostgres(_ address: PostgresAddress) -> OpenStore {
    let id = UUID().uuidString
    let readers = PostgresReaders(address, id: id, patience: .seconds(60), clock: RealClock(), count: 2)
    let reading = PostgresReading(readers)
    return OpenStore(
      store: writer(address, id: id), reading: reading, directory: PostgresDirectory(readers),
      archiving: PostgresArchiving(readers), stored: reading,
      again: { openPostgres(address) },
      run: { sql in
        let connection = try PostgresConnection(address.parameters(first: 0), clock: RealClock())
        _ = try connection.run([PostgresCall(sql: sql)], within: PostgresSession.limit)
      },
      count: { sql in
        let connection = try PostgresConnection(address.parameters(first: 0), clock: RealClock())
        return try connection.run([PostgresCall(sql: sql)], within: PostgresSession.limit)[0].rows.first?.integer(at: 0)
      })
  }

  static let simulated = StoreKind(testDescription: "simulated") { open(SimulatedStore()) }

  private static func open(_ store: SimulatedStore) -> OpenStore {
    OpenStore(store: store, reading: store, directory: store, again: { open(store) })
  }

  static let sqlite = StoreKind(testDescription: "SQLite") {
    let folder = FileManager.default.temporaryDirectory.appending(path: "payonce-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return try openSQLite(folder.appending(path: "store.db").path)
  }

  private static func openSQLite(_ path: String) throws -> OpenStore {
    let database = try SQLiteDatabase(path: path, patience: .seconds(60), clock: RealClock())
    let reading = SQLiteReading(database)
    return OpenStore(
      store: SQLiteStore(database), reading: reading, directory: SQLiteDirectory(database),
      archiving: SQLiteArchiving(database), stored: reading,
      again: { try openSQLite(path) },
      run: { sql in try DatabaseQueue(path: path).write { try $0.execute(sql: sql) } },
      count: { sql in try DatabaseQueue(path: path).read { try Int64.fetchOne($0, sql: sql) } })
  }
}

struct RealClock: PaymentEngine.Clock {
  func now() -> Instant { Instant(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }
  func isSynchronized() -> Bool { true }
  func uptime() -> Duration { .seconds(ProcessInfo.processInfo.systemUptime) }
  func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}

extension Store {
  /// Writes the changes in a transaction that is open while `work` goes on.
  func write<Answer>(
    _ changes: Changeset, locking scopes: [Scope], while work: () async throws -> Answer
  ) async throws -> Answer {
    let (opened, open) = AsyncStream<Void>.makeStream()
    let isDone = DispatchSemaphore(value: 0)
    async let written: Void = withCheckedThrowingContinuation { continuation in
      // It blocks its thread, as a lane does.
      Thread {
        defer { open.finish() }
        do throws(Fault) {
          try transact(scopes) { _ in
            open.yield()
            isDone.wait()
            return (changes, ())
          }
          continuation.resume()
        } catch { continuation.resume(throwing: error) }
      }.start()
    }
    defer { isDone.signal() }
    for await _ in opened { break }
    let answer = try await work()
    isDone.signal()
    try await written
    return answer
  }
}
