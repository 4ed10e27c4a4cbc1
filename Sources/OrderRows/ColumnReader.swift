package import PaymentCore

/// A row of a result, by the places of its columns. What stands there in another form, or not at all, is `nil`.
package protocol ResultRow {
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

/// A row that does not say what the schema promises: the file was written by something else.
package struct UnreadableRow: Error {
  package let table: String
  package init(table: String) { self.table = table }
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

  package mutating func next<Value: ColumnValue>() throws -> Value { try must(optional()) }

  package mutating func optional<Value: ColumnValue>() -> Value? {
    defer { index += 1 }
    return Value(row, at: index)
  }

  package mutating func instant() throws -> Instant { Instant(milliseconds: try next()) }

  package mutating func optionalInstant() -> Instant? { (optional() as Int64?).map(Instant.init(milliseconds:)) }

  package mutating func word<Word: RawRepresentable<String>>() throws -> Word { try must(Word(rawValue: try next())) }

  package mutating func optionalWord<Word: RawRepresentable<String>>() throws -> Word? {
    guard let text: String = optional() else { return nil }
    return try must(Word(rawValue: text))
  }

  package mutating func money() throws -> Money {
    let amount: Int64 = try next()
    return Money(amount, try must(Currency(code: try next())))
  }

  package mutating func optionalMoney() throws -> Money? {
    let amount: Int64? = optional()
    let code: String? = optional()
    guard let amount, let code else { return nil }
    return Money(amount, try must(Currency(code: code)))
  }

  package mutating func failure() -> Failure? {
    let code: String? = optional()
    let message: String? = optional()
    return code.map { Failure(code: $0, message: message ?? "") }
  }

  package mutating func calls() throws -> CallState {
    var calls = CallState(nextAt: optionalInstant())
    let kind: Call.Kind? = try optionalWord()
    let number: Int? = optional()
    let (askedAt, until) = (optionalInstant(), optionalInstant())
    if let kind, let number, let askedAt, let until {
      calls.lease = CallState.Lease(kind: kind, number: number, askedAt: askedAt, until: until)
    }
    calls.made = try next()
    calls.step = try next()
    let (firstCall, firstAt): (Int?, Instant?) = (optional(), optionalInstant())
    if let firstCall, let firstAt { calls.firstSent = CallState.Sent(number: firstCall, at: firstAt) }
    let lastKind: Call.Kind? = try optionalWord()
    let lastAt = optionalInstant()
    let finding: CallState.Finding? = try optionalWord()
    if let lastKind, let lastAt, let finding {
      calls.last = CallState.Finished(kind: lastKind, at: lastAt, finding: finding)
    }
    calls.answeredAskAt = optionalInstant()
    return calls
  }

  package func must<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw UnreadableRow(table: table) }
    return value
  }
}
