package import PaymentCore

// How an order is encoded in its row: the wire format of Protocol Buffers, so that its stock tools read it, too
// (https://protobuf.dev/programming-guides/encoding/). It is written here in its canonical form only: fields ascend by
// number, what is absent or zero is left out, and a number that no field has is not passed over when it is read.

/// The fields of one message, by their numbers. A number that was released is never given to another field.
package protocol StateField: RawRepresentable<Int>, CaseIterable, Sendable {
  /// What stands in it, for people.
  var form: StateForm { get }
  /// The numbers of those that may come several times.
  static var repeated: ClosedRange<Int> { get }
}

extension StateField {
  package static var repeated: ClosedRange<Int> { 0...0 }
}

/// What a field holds.
package enum StateForm: Sendable {
  case integer
  /// Milliseconds since 1970.
  case moment
  /// Milliseconds after the order was registered.
  case instant
  case text
  /// A JSON object of texts and integers.
  case fields
  case bytes
  /// A number that stands for one of some words.
  case word(any StateWord.Type)
  /// Another message.
  case message(any StateField.Type)
  /// Any number of them, one field each.
  case messages(any StateField.Type)
}

/// A word that is stored as its place in a list. The list only ever grows, at its end.
package protocol StateWord: RawRepresentable<String>, CaseIterable, Equatable, Sendable {
  static var words: [Self] { get }
}

/// Appends the fields of a message. What is `nil` leaves no trace.
package struct StateWriter {
  package private(set) var bytes: [UInt8] = []
  private let origin: Int64

  /// - Parameter origin: instants are written as the time since then.
  package init(origin: Instant) {
    self.origin = origin.milliseconds
    bytes.reserveCapacity(320)
  }

  package mutating func integer(_ field: some StateField, _ value: Int64?) {
    guard let value else { return }
    key(field, .number)
    append(UInt64(bitPattern: value))
  }

  package mutating func integer(_ field: some StateField, _ value: Int?) { integer(field, value.map(Int64.init)) }

  /// Leaves zero out, which is what is read where nothing stands.
  package mutating func count(_ field: some StateField, _ value: Int) { if value != 0 { integer(field, value) } }

  package mutating func moment(_ field: some StateField, _ value: Instant) { integer(field, value.milliseconds) }

  package mutating func instant(_ field: some StateField, _ value: Instant?) {
    guard let value else { return }
    key(field, .number)
    let distance = value.milliseconds &- origin
    // Zigzag: a small number is short whatever its sign.
    append(UInt64(bitPattern: distance << 1 ^ distance >> 63))
  }

  package mutating func word<Word: StateWord>(_ field: some StateField, _ value: Word?) {
    guard let value else { return }
    integer(field, Word.words.firstIndex(of: value)!)
  }

  package mutating func text(_ field: some StateField, _ value: String?) {
    guard var value else { return }
    value.withUTF8 { delimited(field, UnsafeRawBufferPointer($0)) }
  }

  package mutating func bytes(_ field: some StateField, _ value: [UInt8]) {
    value.withUnsafeBytes { delimited(field, $0) }
  }

  package mutating func message(_ field: some StateField, _ write: (inout StateWriter) -> Void) {
    key(field, .delimited)
    let start = bytes.count
    bytes.append(0)
    write(&self)
    let count = bytes.count - start - 1
    guard count >= 0x80 else {
      bytes[start] = UInt8(count)
      return
    }
    var length = StateWriter(origin: Instant(milliseconds: 0))
    length.append(UInt64(count))
    bytes.replaceSubrange(start...start, with: length.bytes)
  }

  private mutating func delimited(_ field: some StateField, _ value: UnsafeRawBufferPointer) {
    key(field, .delimited)
    append(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  private mutating func key(_ field: some StateField, _ type: WireType) {
    append(UInt64(field.rawValue << 3 | type.rawValue))
  }

  private mutating func append(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }
}

extension Int64 {
  /// The number that a zigzag means.
  init(zigzag value: Int64) {
    let bits = UInt64(bitPattern: value)
    self = Int64(bitPattern: bits >> 1) ^ -Int64(bitPattern: bits & 1)
  }
}

private enum WireType: Int {
  case number = 0
  case delimited = 2
}

/// Reads the fields of a message one after the other. The bytes must outlive it.
package struct StateReader {
  private let source: UnsafeRawBufferPointer
  private let origin: Int64
  private let table: String
  private var position = 0
  private var number = 0
  private var type = WireType.number

  /// - Parameter table: is named in the error when something cannot be read.
  package init(_ source: UnsafeRawBufferPointer, origin: Int64 = 0, table: String) {
    self.source = source
    self.origin = origin
    self.table = table
  }

  /// The same message, with instants as the time since another moment.
  package func since(_ origin: Instant) -> StateReader {
    var reader = StateReader(source, origin: origin.milliseconds, table: table)
    (reader.position, reader.number) = (position, number)
    return reader
  }

  /// The next field, whose value is to be read now; `nil` at the end.
  package mutating func next<Field: StateField>() throws -> Field? {
    guard position < source.count else { return nil }
    let key = try varint()
    guard key < 1 << 16, let field = Field(rawValue: Int(key >> 3)), let type = WireType(rawValue: Int(key & 7)),
      field.rawValue > number || (field.rawValue == number && Field.repeated.contains(number))
    else { throw unreadable }
    (self.number, self.type) = (field.rawValue, type)
    return field
  }

  package mutating func integer() throws -> Int64 {
    guard type == .number else { throw unreadable }
    return Int64(bitPattern: try varint())
  }

  /// A number of things, at least one, and so few that it can be counted on.
  package mutating func count() throws -> Int {
    let value = try integer()
    guard (1...Int64(Int32.max)).contains(value) else { throw unreadable }
    return Int(value)
  }

  /// Minor units, so few that no sum of them overflows.
  package mutating func amount() throws -> Int64 {
    let value = try integer()
    guard Money.plausibleAmounts.contains(value) else { throw unreadable }
    return value
  }

  package mutating func moment() throws -> Instant { try plausible(Instant(milliseconds: try integer())) }

  package mutating func instant() throws -> Instant {
    let (sum, overflow) = origin.addingReportingOverflow(Int64(zigzag: try integer()))
    guard !overflow else { throw unreadable }
    return try plausible(Instant(milliseconds: sum))
  }

  private func plausible(_ instant: Instant) throws -> Instant {
    guard Instant.plausible.contains(instant) else { throw unreadable }
    return instant
  }

  package mutating func word<Word: StateWord>() throws -> Word {
    let value = try integer()
    guard value >= 0, value < Word.words.count else { throw unreadable }
    return Word.words[Int(value)]
  }

  package mutating func text() throws -> String {
    guard let text = String(validating: try delimited(), as: UTF8.self) else { throw unreadable }
    return text
  }

  package mutating func bytes() throws -> [UInt8] { Array(try delimited()) }

  package mutating func currency() throws -> Currency { try must(Currency(code: try text())) }

  /// - Parameter table: is named when something in this message cannot be read.
  package mutating func message(table: String? = nil) throws -> StateReader {
    StateReader(UnsafeRawBufferPointer(rebasing: try delimited()), origin: origin, table: table ?? self.table)
  }

  package var unreadable: UnreadableRow { UnreadableRow(table: table) }

  package func must<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw unreadable }
    return value
  }

  private mutating func delimited() throws -> Slice<UnsafeRawBufferPointer> {
    guard type == .delimited else { throw unreadable }
    let count = try varint()
    guard count <= UInt64(source.count - position) else { throw unreadable }
    defer { position += Int(count) }
    return source[position..<position + Int(count)]
  }

  private mutating func varint() throws -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < source.count, shift < 64 {
      let byte = source[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 {
        // A number is written as short as it can be.
        guard byte != 0 || shift == 0, shift < 63 || byte == 1 else { throw unreadable }
        return value
      }
      shift += 7
    }
    throw unreadable
  }
}
