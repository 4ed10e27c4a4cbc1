import FoundationEssentials
import GRDB
import GRDBSQLite

/// What stands in one column of a row. GRDB prepares, keeps and ends statements; binding and reading go straight to
/// SQLite, since GRDB's rows, made for any query, took half of the lane's time.
protocol Column: Sendable {
  func bind(to statement: SQLiteStatement, at index: Int32) -> Int32
  /// - Returns: `nil` when the column holds something else.
  static func read(_ statement: SQLiteStatement, at index: Int32) -> Self?
}

typealias Arguments = [(any Column)?]

extension Statement {
  /// Runs the statement from its beginning, and lets `read` see each row.
  func run(_ arguments: Arguments, read: (_ row: SQLiteStatement) throws -> Void = { _ in }) throws {
    let statement = sqliteStatement
    defer { sqlite3_reset(statement) }
    try check(arguments.bind(to: statement))
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW: try read(statement)
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
  func bind(to statement: SQLiteStatement) -> Int32 {
    for (index, argument) in enumerated() {
      let place = Int32(index + 1)
      let code = argument?.bind(to: statement, at: place) ?? sqlite3_bind_null(statement, place)
      if code != SQLITE_OK { return code }
    }
    return SQLITE_OK
  }
}

/// Tells SQLite to copy what is bound.
private let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

extension Int64: Column {
  func bind(to statement: SQLiteStatement, at index: Int32) -> Int32 { sqlite3_bind_int64(statement, index, self) }

  static func read(_ statement: SQLiteStatement, at index: Int32) -> Int64? {
    sqlite3_column_type(statement, index) == SQLITE_INTEGER ? sqlite3_column_int64(statement, index) : nil
  }
}

extension Int: Column {
  func bind(to statement: SQLiteStatement, at index: Int32) -> Int32 { Int64(self).bind(to: statement, at: index) }
  static func read(_ statement: SQLiteStatement, at index: Int32) -> Int? {
    Int64.read(statement, at: index).map(Int.init)
  }
}

extension String: Column {
  func bind(to statement: SQLiteStatement, at index: Int32) -> Int32 {
    var text = self
    return text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { characters in
        // A text without an address would be NULL.
        guard let start = characters.baseAddress else { return sqlite3_bind_text(statement, index, "", 0, transient) }
        return sqlite3_bind_text(statement, index, start, Int32(characters.count), transient)
      }
    }
  }

  static func read(_ statement: SQLiteStatement, at index: Int32) -> String? {
    guard sqlite3_column_type(statement, index) == SQLITE_TEXT, let text = sqlite3_column_text(statement, index) else {
      return nil
    }
    let count = Int(sqlite3_column_bytes(statement, index))
    return String(decoding: UnsafeBufferPointer(start: text, count: count), as: UTF8.self)
  }
}

extension Data: Column {
  func bind(to statement: SQLiteStatement, at index: Int32) -> Int32 {
    withUnsafeBytes { bytes in
      bytes.isEmpty
        ? sqlite3_bind_zeroblob(statement, index, 0)
        : sqlite3_bind_blob(statement, index, bytes.baseAddress, Int32(bytes.count), transient)
    }
  }

  static func read(_ statement: SQLiteStatement, at index: Int32) -> Data? {
    guard sqlite3_column_type(statement, index) == SQLITE_BLOB else { return nil }
    let count = Int(sqlite3_column_bytes(statement, index))
    return sqlite3_column_blob(statement, index).map { Data(bytes: $0, count: count) } ?? Data()
  }
}
