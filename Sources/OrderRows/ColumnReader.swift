package import PaymentCore
package import PaymentEngine

/// A row of a result, by the places of its columns. What stands there in another form, or not at all, is `nil`.
package protocol ResultRow {
  func isNull(at index: Int) -> Bool
  func integer(at index: Int) -> Int64?
  func text(at index: Int) -> String?
  func bytes(at index: Int) -> [UInt8]?
}

/// What stands in one column of a row.
package enum Cell: Hashable, Sendable {
  case integer(Int64)
  case text(String)
  case bytes([UInt8])
}

extension Cell {
  var value: any ColumnValue {
    switch self {
    case .integer(let value): value
    case .text(let text): text
    case .bytes(let bytes): bytes
    }
  }
}

/// A value that a column can hold.
package protocol ColumnValue: Sendable {
  var cell: Cell { get }
  init?(_ row: some ResultRow, at index: Int)
}

package typealias Arguments = [(any ColumnValue)?]

extension Int64: ColumnValue {
  package var cell: Cell { .integer(self) }
  package init?(_ row: some ResultRow, at index: Int) {
    guard let value = row.integer(at: index) else { return nil }
    self = value
  }
}

extension Int: ColumnValue {
  package var cell: Cell { .integer(Int64(self)) }
  package init?(_ row: some ResultRow, at index: Int) {
    guard let value = row.integer(at: index) else { return nil }
    self = Int(value)
  }
}

extension String: ColumnValue {
  package var cell: Cell { .text(self) }
  package init?(_ row: some ResultRow, at index: Int) {
    guard let value = row.text(at: index) else { return nil }
    self = value
  }
}

extension [UInt8]: ColumnValue {
  package var cell: Cell { .bytes(self) }
  package init?(_ row: some ResultRow, at index: Int) {
    guard let value = row.bytes(at: index) else { return nil }
    self = value
  }
}

/// A row that does not say what the schema promises: a newer release wrote it, or something else. It is left as it is, in
/// every column: to pass over what is not understood would be to overwrite it at the next change.
package struct UnreadableRow: Error {
  package let table: String
  package init(table: String) { self.table = table }

  package var fault: Fault { .unavailable("a row of \(table) cannot be read") }
}

/// Reads the columns of a row one after the other. Both directions name the columns once, in `Columns`.
package struct ColumnReader<Source: ResultRow> {
  private let row: Source
  private var index = 0
  private let table: String

  package init(_ row: Source, table: String) {
    self.row = row
    self.table = table
  }

  package mutating func next<Value: ColumnValue>() throws -> Value { try must(try optional()) }

  package mutating func optional<Value: ColumnValue>() throws -> Value? {
    defer { index += 1 }
    return row.isNull(at: index) ? nil : try must(Value(row, at: index))
  }

  package mutating func instant() throws -> Instant { Instant(milliseconds: try next()) }

  package mutating func optionalInstant() throws -> Instant? {
    (try optional() as Int64?).map(Instant.init(milliseconds:))
  }

  package var unreadable: UnreadableRow { UnreadableRow(table: table) }

  package func must<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw unreadable }
    return value
  }
}
