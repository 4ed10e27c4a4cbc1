import Foundation
import GRDB
import PaymentEngine
import Testing

@testable import SQLiteStore

/// Whose file it is.
@Suite struct SQLiteFileTests {
  private static func file() throws -> String {
    let folder = FileManager.default.temporaryDirectory.appending(path: "payonce-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder.appending(path: "store.db").path
  }

  private static func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(filePath: path)) }

  /// Opens it as a store.
  /// - Returns: why it cannot be.
  private static func refusal(_ path: String) -> String? {
    do throws(Fault) {
      _ = try SQLiteDatabase(path: path, patience: .seconds(60), clock: RealClock())
      return nil
    } catch { return error.reason }
  }

  @Test(arguments: [
    "CREATE TABLE posts (id INTEGER PRIMARY KEY)", "CREATE TABLE merchants (id TEXT); CREATE TABLE orders (id TEXT)",
    "PRAGMA application_id = 1196444487", "PRAGMA application_id = 7; CREATE TABLE posts (id INTEGER PRIMARY KEY)",
    "CREATE VIEW v AS SELECT 1", "CREATE TABLE grdb_migrations (identifier TEXT); CREATE TABLE charges (id TEXT)",
    "PRAGMA journal_mode = WAL; CREATE TABLE posts (id INTEGER PRIMARY KEY)",
  ]) func anothersFileIsRefusedAndLeftAsItIs(_ sql: String) throws {
    let path = try Self.file()
    // Written outside of a transaction, since it says how the file is kept.
    try DatabaseQueue(path: path).writeWithoutTransaction { try $0.execute(sql: sql) }
    let before = try Self.bytes(path)
    #expect(Self.refusal(path)?.contains("belongs to another program") == true)
    #expect(try Self.bytes(path) == before)
  }

  @Test func aTextIsNoStore() throws {
    let path = try Self.file()
    try Data("this is not a database, and long enough to be read as one".utf8).write(to: URL(filePath: path))
    let before = try Self.bytes(path)
    #expect(Self.refusal(path)?.contains("not a database") == true)
    #expect(try Self.bytes(path) == before)
  }

  @Test func whatIsNewOrOursIsTaken() throws {
    let path = try Self.file()
    try Data().write(to: URL(filePath: path))
    #expect(Self.refusal(path) == nil, "an empty file")
    #expect(Self.refusal(path) == nil, "again")
    #expect(try DatabaseQueue(path: path).read { try Int32.fetchOne($0, sql: "PRAGMA application_id") } == 0x504F_6E63)

    // Its beginning was interrupted.
    let begun = try Self.file()
    try DatabaseQueue(path: begun).writeWithoutTransaction { try $0.execute(sql: "PRAGMA journal_mode = WAL") }
    #expect(Self.refusal(begun) == nil)

    // A person added a table.
    try DatabaseQueue(path: path).write { try $0.execute(sql: "CREATE TABLE notes (text TEXT)") }
    #expect(Self.refusal(path) == nil)
  }

  /// A store that was made before the first release has other tables than those of today, and is left as it is.
  @Test(arguments: [0, 0x504F_6E63] as [Int32])
  func aStoreFromBeforeTheFirstReleaseIsRefusedInWords(_ mark: Int32) throws {
    let path = try Self.file()
    let queue = try DatabaseQueue(path: path)
    try queue.write {
      for table in ["grdb_migrations", "merchants", "orders", "payments", "probes"] {
        try $0.execute(sql: "CREATE TABLE \(table) (id TEXT PRIMARY KEY)")
      }
      try $0.execute(sql: "INSERT INTO merchants VALUES ('tea'); PRAGMA application_id = \(mark)")
    }
    #expect(Self.refusal(path)?.contains("before its first release") ?? false)
    #expect(try queue.read { try Int32.fetchOne($0, sql: "PRAGMA application_id") } == mark)
    #expect(try queue.read { try String.fetchOne($0, sql: "SELECT id FROM merchants") } == "tea")
  }
}
