package import PaymentCore
package import PaymentEngine

/// An order as it stands in its rows, for people and for other programs: also one that this release cannot read.
package struct StoredOrder: Sendable {
  package let id: OrderID
  /// `nil` where this release does not understand all of it.
  package let order: Order?
  /// The columns of `Columns.orders` as they stand there.
  package let cells: [Cell?]
  /// The rows of its events: the number of the first one, and what stands there.
  package private(set) var packs: [(first: Int, bytes: [UInt8])] = []

  /// - Parameter row: the columns of `Columns.orders`.
  /// - Throws: `UnreadableRow` where there is not even an id.
  package init(_ row: some ResultRow) throws {
    guard let id = OrderID(row, at: 0) else { throw UnreadableRow(table: "orders") }
    self.id = id
    order = try? Order(row)
    cells = Columns.orders.all.cells(row)
  }

  /// - Parameter row: the columns of `events`, of this order.
  package mutating func addEvents(_ row: some ResultRow) {
    guard let first = row.integer(at: 1), let bytes = row.bytes(at: 2) else { return }
    packs.append((Int(first), bytes))
  }

  /// Whether this release understands all of it, and all of its events are there.
  package var isWhole: Bool {
    guard let order else { return false }
    var next = 1
    for pack in packs {
      guard pack.first == next, let events = try? EventPack(order: id, first: pack.first, pack.bytes).events else {
        return false
      }
      next += events.count
    }
    return next == order.sequence + 1
  }

  /// The columns of its row in `orders`.
  package var row: Arguments { cells.map { $0?.value } }

  /// The columns of its rows in `events`.
  package var eventRows: [Arguments] { packs.map { [id, $0.first, $0.bytes] } }

  package var state: [UInt8] { if case .bytes(let bytes)? = cells.last ?? nil { bytes } else { [] } }

  /// What stands in the columns between its id and its state.
  private var head: [StateEntry] {
    zip(Columns.orders.all, cells).dropFirst().dropLast().map { column, cell in
      let value: StateValue =
        switch cell {
        case .integer(let value)?: .integer(value)
        case .text(let text)?: .text(text)
        case .bytes(let bytes)?: .bytes(bytes)
        case nil: .null
        }
      return StateEntry(column.text, value).saying { OrderNumber(bits: $0).text }
    }
  }

  private var number: OrderNumber? {
    guard case .bytes(let bytes)? = cells[1] else { return nil }
    return UInt128(bytes: bytes).map { OrderNumber(bits: $0) }
  }

  /// Everything that stands there, by the names of the columns and fields.
  package var record: [StateEntry] {
    let head = head
    var created: Instant?
    let fields = StateEntry.read(state, OrderField.self, since: &created)
    let events = packs.flatMap { first, bytes -> [[StateEntry]] in
      guard let pack = try? EventPack(order: id, first: first, bytes) else {
        var at: Instant?
        return [[StateEntry("sequence", .integer(Int64(first)))] + StateEntry.read(bytes, EventsField.self, since: &at)]
      }
      return pack.events.map { event in
        [
          StateEntry("id", .text(event.id.text)), StateEntry("sequence", .integer(Int64(event.id.sequence))),
          StateEntry("type", .text(event.type.rawValue)), StateEntry("at", .instant(event.at)),
          StateEntry("data", .fields(event.data)),
        ]
      }
    }
    return [StateEntry("id", .text(id.text))] + head + fields.map { named($0, head) } + [
      StateEntry("events", .list(events))
    ]
  }

  /// The parts of a list with their identities, which their places say, and with the currencies, which are written only
  /// where they are not the order's.
  private func named(_ entry: StateEntry, _ head: [StateEntry]) -> StateEntry {
    guard case .list(let parts) = entry.value else { return entry }
    func identity(_ ordinal: Int) -> String? {
      guard ordinal <= PaymentID.maximum else { return nil }
      return switch entry.name {
      case "payments": PaymentID(order: id, ordinal: ordinal).text
      case "refunds": RefundID(order: id, ordinal: ordinal).text
      case "cases": CaseID(order: id, ordinal: ordinal).text
      default: nil
      }
    }
    func trade(_ ordinal: Int) -> [StateEntry] {
      guard entry.name == "payments", let order = number else { return [] }
      return [StateEntry("number", .text(PaymentNumber(order: order, ordinal: ordinal).text))]
    }
    return StateEntry(
      entry.name,
      .list(
        parts.enumerated().map { index, part in
          guard let identity = identity(index + 1) else { return part }
          return [StateEntry("id", .text(identity))] + trade(index + 1)
            + withCurrencies(part.map { entry in entry.saying { RefundNumber(bits: $0).text } }, head)
        }))
  }

  private func withCurrencies(_ part: [StateEntry], _ head: [StateEntry]) -> [StateEntry] {
    guard let currency = head.first(where: { $0.name == "currency" }) else { return part }
    return part.flatMap { entry -> [StateEntry] in
      let name = entry.name == "amount" ? "currency" : entry.name == "amount_received" ? "currency_received" : nil
      guard let name, !part.contains(where: { $0.name == name }) else { return [entry] }
      return [entry, currency.renamed(name)]
    }
  }
}

/// Where stored orders are looked at as they stand there.
package protocol StoredOrderReading: Sendable {
  func stored(_ name: OrderName) async throws(Fault) -> StoredOrder?
  /// The next orders of all merchants behind `after`, oldest first.
  func stored(after: OrderID?, limit: Int) async throws(Fault) -> [StoredOrder]
}

/// A column or field, by its name.
package struct StateEntry: Equatable, Sendable {
  package let name: String
  package let value: StateValue

  init(_ name: String, _ value: StateValue) {
    self.name = name
    self.value = value
  }

  package func renamed(_ name: String) -> StateEntry { StateEntry(name, value) }

  /// The names of a message's fields for a table: those of a message within it follow its own name, and what there can be
  /// several of has a table of its own.
  package static func columns<Field: StateField>(_: Field.Type) -> [String] {
    Field.allCases.flatMap { field -> [String] in
      let name = field.name
      return switch field.form {
      case .message(let type): columns(type).map { "\(name)_\($0)" }
      case .messages: []
      case .integer, .moment, .instant, .text, .fields, .bytes, .word: [name]
      }
    }
  }

  /// A number as providers are told it, if this is one.
  fileprivate func saying(_ text: (UInt128) -> String) -> StateEntry {
    guard name == "number", case .bytes(let bytes) = value, let bits = UInt128(bytes: bytes) else { return self }
    return StateEntry(name, .text(text(bits)))
  }
}

extension StoredOrder {
  /// The names of what an order itself says.
  package static let columns =
    ["id"] + Columns.orders.all.dropFirst().dropLast().map(\.text) + StateEntry.columns(OrderField.self)
}

package enum StateValue: Equatable, Sendable {
  case null
  case integer(Int64)
  case instant(Instant)
  case text(String)
  case fields(Fields)
  case bytes([UInt8])
  case record([StateEntry])
  case list([[StateEntry]])
}

extension StateValue {
  /// A time, or its number where it is far from any.
  fileprivate static func at(_ instant: Instant) -> StateValue {
    Instant.plausible.contains(instant) ? .instant(instant) : .integer(instant.milliseconds)
  }
}

extension StateEntry {
  /// The fields of a message, by their names. A field that is not known stands with its number, and what follows something
  /// that cannot be read as the bytes that it is.
  /// - Parameter origin: since when instants count; set by the first field that is a moment of its own.
  fileprivate static func read<Field: StateField>(
    _ bytes: [UInt8], _: Field.Type, since origin: inout Instant?
  ) -> [StateEntry] {
    var wire = WireScanner(bytes)
    var entries: [StateEntry] = []
    while let (number, value) = wire.next() {
      guard let field = Field(rawValue: number) else {
        entries.append(StateEntry("field_\(number)", value))
        continue
      }
      let name = field.name
      switch (field.form, value) {
      case (.moment, .integer(let milliseconds)):
        origin = Instant(milliseconds: milliseconds)
        entries.append(StateEntry(name, .at(Instant(milliseconds: milliseconds))))
      case (.instant, .integer(let value)):
        let start = origin?.milliseconds ?? 0
        entries.append(StateEntry(name, .at(Instant(milliseconds: start &+ Int64(zigzag: value)))))
      case (.word(let type), .integer(let number)):
        entries.append(StateEntry(name, type.word(number).map(StateValue.text) ?? .integer(number)))
      case (.text, .bytes(let bytes)):
        entries.append(StateEntry(name, String(validating: bytes, as: UTF8.self).map(StateValue.text) ?? value))
      case (.fields, .bytes(let bytes)):
        let fields = String(validating: bytes, as: UTF8.self).flatMap { Fields(text: $0) }
        entries.append(StateEntry(name, fields.map(StateValue.fields) ?? value))
      case (.message(let type), .bytes(let bytes)):
        entries.append(StateEntry(name, .record(read(bytes, type, since: &origin))))
      case (.messages(let type), .bytes(let bytes)):
        let element = read(bytes, type, since: &origin)
        if case .list(let list)? = entries.last?.value, entries.last?.name == name {
          entries[entries.count - 1] = StateEntry(name, .list(list + [element]))
        } else {
          entries.append(StateEntry(name, .list([element])))
        }
      default: entries.append(StateEntry(name, value))
      }
    }
    if let rest = wire.rest { entries.append(StateEntry("unreadable", .bytes(rest))) }
    return entries
  }
}

extension StateWord {
  fileprivate static func word(_ number: Int64) -> String? {
    words.indices.contains(Int(number)) ? words[Int(number)].rawValue : nil
  }
}

extension StateField {
  /// As other programs know it.
  package var name: String { "\(self)".inSnakeCase }
}

extension String {
  /// `createdAt` as `created_at`, `returnURL` as `return_url`.
  fileprivate var inSnakeCase: String {
    var name = ""
    var wasUppercase = true
    for character in self {
      if character.isUppercase, !wasUppercase { name += "_" }
      wasUppercase = character.isUppercase
      name += character.lowercased()
    }
    return name
  }
}

/// The fields of any message, known or not.
private struct WireScanner {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// What is left where it ended early.
  var rest: [UInt8]? { position < bytes.count ? Array(bytes[position...]) : nil }

  mutating func next() -> (number: Int, value: StateValue)? {
    let start = position
    guard let key = varint(), key < 1 << 32 else {
      position = start
      return nil
    }
    switch key & 7 {
    case 0: if let value = varint() { return (Int(key >> 3), .integer(Int64(bitPattern: value))) }
    case 2:
      if let count = varint(), count <= UInt64(bytes.count - position) {
        defer { position += Int(count) }
        return (Int(key >> 3), .bytes(Array(bytes[position..<position + Int(count)])))
      }
    default: break
    }
    position = start
    return nil
  }

  private mutating func varint() -> UInt64? {
    var (value, shift): (UInt64, UInt64) = (0, 0)
    while position < bytes.count, shift < 64 {
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }
}
