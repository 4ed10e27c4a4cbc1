import GRDB
import GRDBSQLite
import OrderRows

/// A row as it stands in a running statement. GRDB prepares, keeps and ends statements; binding and reading go straight
/// to SQLite, since GRDB's rows, made for any query, took half of the lane's time.
struct SQLiteRow: ResultRow {
  let statement: SQLiteStatement

  func isNull(at index: Int) -> Bool { sqlite3_column_type(statement, Int32(index)) == SQLITE_NULL }

  func integer(at index: Int) -> Int64? {
    let index = Int32(index)
    return sqlite3_column_type(statement, index) == SQLITE_INTEGER ? sqlite3_column_int64(statement, index) : nil
  }

  func text(at index: Int) -> String? {
    let index = Int32(index)
    guard sqlite3_column_type(statement, index) == SQLITE_TEXT, let text = sqlite3_column_text(statement, index) else {
      return nil
    }
    let count = Int(sqlite3_column_bytes(statement, index))
    return String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
  }

  func bytes(at index: Int) -> [UInt8]? {
    let index = Int32(index)
    guard sqlite3_column_type(statement, index) == SQLITE_BLOB else { return nil }
    let bytes = UnsafeRawBufferPointer(
      start: sqlite3_column_blob(statement, index), count: Int(sqlite3_column_bytes(statement, index)))
    return Array(bytes)
  }
}

extension Statement {
  /// Runs the statement from its beginning, and lets `read` see each row.
  func run(_ arguments: Arguments, read: (_ row: SQLiteRow) throws -> Void = { _ in }) throws {
    let statement = sqliteStatement
    defer { sqlite3_reset(statement) }
    try check(arguments.bind(to: statement))
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW: try read(SQLiteRow(statement: statement))
      case SQLITE_DONE: return
      case let code: try check(code)
      }
    }
  }

  private func check(_ code: Int32) throws {
    guard code != SQLITE_OK else { return }
    let message = sqlite3_errmsg(sqlite3_db_handle(sqliteStatement)).map { String(cString: $0) }
    throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message, sql: sql)
  }
}

extension Arguments {
  /// - Returns: the first code that is not `SQLITE_OK`, if there is one.
  package func bind(to statement: OpaquePointer) -> Int32 {
    for (index, argument) in enumerated() {
      let place = Int32(index + 1)
      let code = argument?.cell.bind(to: statement, at: place) ?? sqlite3_bind_null(statement, place)
      if code != SQLITE_OK { return code }
    }
    return SQLITE_OK
  }
}

/// Tells SQLite to copy what is bound.
private let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

extension Cell {
  fileprivate func bind(to statement: SQLiteStatement, at index: Int32) -> Int32 {
    switch self {
    case .integer(let value): return sqlite3_bind_int64(statement, index, value)
    case .text(var text):
      return text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) { characters in
          // A text without an address would be NULL.
          guard let start = characters.baseAddress else { return sqlite3_bind_text(statement, index, "", 0, transient) }
          return sqlite3_bind_text(statement, index, start, Int32(characters.count), transient)
        }
      }
    case .bytes(let bytes):
      return bytes.withUnsafeBytes { bytes in
        bytes.isEmpty
          ? sqlite3_bind_zeroblob(statement, index, 0)
          : sqlite3_bind_blob(statement, index, bytes.baseAddress, Int32(bytes.count), transient)
      }
    }
  }
}
