package import PaymentCore

/// The events that one transaction made of one order, as one row keeps them: numbered without a gap.
package struct EventPack: Equatable, Sendable {
  package let order: OrderID
  /// The number of the first one within its order.
  package let first: Int
  package let events: [Event]

  private static let format = 1

  /// - Precondition: there is at least one event, and they follow one another.
  package init(_ events: [Event]) {
    order = events[0].id.order
    first = events[0].id.sequence
    self.events = events
  }

  package var encoded: [UInt8] {
    let origin = events[0].at
    var writer = StateWriter(origin: origin)
    writer.count(EventsField.format, Self.format)
    writer.moment(EventsField.at, origin)
    for event in events { writer.message(EventsField.events) { event.encode(into: &$0) } }
    return writer.bytes
  }

  /// - Throws: `UnreadableRow` where anything of it is not understood.
  package init(order: OrderID, first: Int, _ bytes: [UInt8]) throws {
    self.order = order
    self.first = first
    events = try bytes.withUnsafeBytes { bytes in
      var reader = StateReader(bytes, table: "events")
      guard first > 0, case .format = try reader.next() as EventsField?, try reader.count() == Self.format,
        case .at = try reader.next() as EventsField?
      else { throw reader.unreadable }
      let origin = try reader.moment()
      reader = reader.since(origin)
      var events: [Event] = []
      while let field: EventsField = try reader.next() {
        guard field == .events, first + events.count <= EventID.maximumSequence else { throw reader.unreadable }
        let id = EventID(order: order, sequence: first + events.count)
        events.append(try Event(id, try reader.message()))
      }
      guard !events.isEmpty else { throw reader.unreadable }
      return events
    }
    // Nothing else stands there than what was understood.
    guard encoded == bytes else { throw UnreadableRow(table: "events") }
  }
}

extension EventPack {
  /// - Parameter row: the columns of `events`.
  package init(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "events")
    try self.init(order: columns.next(), first: columns.next(), columns.next())
  }

  /// The rows of an order that hold the events behind a number, the first of them perhaps only with its end.
  package static func select(_ order: String, after: String, limit: String) -> String {
    """
    SELECT \(Columns.of(.events).list) FROM events WHERE id = \(order) AND sequence >= coalesce(
      (SELECT max(sequence) FROM events WHERE id = \(order) AND sequence <= \(after) + 1), 0)
    ORDER BY sequence LIMIT \(limit)
    """
  }

  /// What of the events of some rows is asked for.
  package static func page(_ events: [Event], after: Int, limit: Int) -> [Event] {
    Array(events.lazy.filter { $0.id.sequence > after }.prefix(limit))
  }
}

extension Event {
  fileprivate func encode(into writer: inout StateWriter) {
    writer.word(EventField.type, type)
    writer.instant(EventField.at, at)
    for field in data.all {
      writer.message(EventField.data) { writer in
        if let known = EventDataName.numbers[field.name] {
          writer.integer(EventDataField.knownName, known)
        } else {
          writer.text(EventDataField.name, field.name)
        }
        switch field.value {
        case .null: break
        case .integer(let value): writer.integer(EventDataField.integer, value)
        case .text(let text):
          // Most texts are identities of the order's own parts, of which the ordinal is enough.
          if let payment = PaymentID(text: text), payment.order == id.order {
            writer.integer(EventDataField.payment, payment.ordinal)
          } else if let refund = RefundID(text: text), refund.order == id.order {
            writer.integer(EventDataField.refund, refund.ordinal)
          } else if let item = CaseID(text: text), item.order == id.order {
            writer.integer(EventDataField.item, item.ordinal)
          } else {
            writer.text(EventDataField.text, text)
          }
        }
      }
    }
  }

  fileprivate init(_ id: EventID, _ source: StateReader) throws {
    var reader = source
    var type: Kind?
    var at: Instant?
    var data = Fields()
    while let field: EventField = try reader.next() {
      switch field {
      case .type: type = try reader.word()
      case .at: at = try reader.instant()
      case .data:
        let (name, value) = try Self.entry(try reader.message(), of: id.order)
        data.append(name, value)
      }
    }
    self.init(id: id, type: try reader.must(type), at: try reader.must(at), data: data)
  }

  private static func entry(_ source: StateReader, of order: OrderID) throws -> (String, Fields.Value) {
    var reader = source
    var (name, value): (String?, Fields.Value?)
    while let field: EventDataField = try reader.next() {
      if field.rawValue <= EventDataField.knownName.rawValue {
        guard name == nil else { throw reader.unreadable }
        name = field == .name ? try reader.text() : (try reader.word() as EventDataName).rawValue
        continue
      }
      guard value == nil else { throw reader.unreadable }
      switch field {
      case .name, .knownName: break
      case .text: value = .text(try reader.text())
      case .integer: value = .integer(try reader.integer())
      case .payment: value = .text(try reader.part(of: order, PaymentKind.self))
      case .refund: value = .text(try reader.part(of: order, RefundKind.self))
      case .item: value = .text(try reader.part(of: order, CaseKind.self))
      }
    }
    return (try reader.must(name), value ?? .null)
  }
}

extension StateReader {
  fileprivate mutating func part<Kind: OrderPartKind>(of order: OrderID, _: Kind.Type) throws -> String {
    try must(OrderPartID<Kind>(order, try integer())).text
  }
}
