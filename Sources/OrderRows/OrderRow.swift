import Crypto
package import PaymentCore
package import PaymentEngine

/// What stands in an order's row beside its state.
package struct OrderHead {
  package let id: OrderID
  let number: OrderNumber
  let merchant: MerchantID
  let reference: String
  let amount: Money
  let status: Order.Status
  let liveOrdinal: Int?
  let keptOrdinal: Int?
  let version: Int
  let state: [UInt8]

  /// - Parameter row: begins with the columns of `Columns.orders`.
  init(_ row: some ResultRow) throws {
    // Column by column, and not by `ColumnReader`, since this is where a lane reads.
    guard let id = OrderID(row, at: 0), let number = OrderNumber(row, at: 1), let merchant = row.text(at: 2),
      let reference = row.text(at: 3), let amount = row.integer(at: 4),
      let currency = row.text(at: 5).flatMap({ Currency(code: $0) }),
      let status = row.text(at: 6).flatMap({ Order.Status(rawValue: $0) }), let version = row.integer(at: 9),
      let state = row.bytes(at: 10), Money.plausibleAmounts.contains(amount)
    else { throw UnreadableRow(table: "orders") }
    self.id = id
    self.number = number
    self.merchant = MerchantID(merchant)
    self.reference = reference
    self.amount = Money(amount, currency)
    self.status = status
    liveOrdinal = row.integer(at: 7).map { Int($0) }
    keptOrdinal = row.integer(at: 8).map { Int($0) }
    self.version = Int(version)
    self.state = state
    // It would not be found by what it says.
    guard number == Numbering.sha256.order(self.merchant, reference) else { throw UnreadableRow(table: "orders") }
  }
}

extension Numbering {
  /// The numbers of all that these stores keep: the first half of SHA-256.
  package static let sha256 = Numbering { bytes in
    SHA256.hash(data: bytes).withUnsafeBytes { UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self)) }
  }
}

extension Order {
  /// - Parameter row: begins with the columns of `Columns.orders`.
  /// - Throws: `UnreadableRow` where anything of it is not understood.
  package init(_ row: some ResultRow) throws {
    let head = try OrderHead(row)
    try self.init(head.state, head)
  }

  fileprivate var fixedArguments: Arguments {
    [
      id, number, registration.merchant.text, registration.reference, registration.amount.amount,
      registration.amount.currency.code,
    ]
  }

  fileprivate func changingArguments() throws(ImpossibleOrder) -> Arguments {
    [status.rawValue, liveOrdinal, keptOrdinal, version, try encoded()]
  }

  /// What of it does not go on, or not by itself.
  fileprivate var waiting: [WaitingRow] {
    var rows: [WaitingRow] = []
    func add(_ kind: Waiting.Kind, _ ordinal: Int, since: Instant?) {
      if let since { rows.append(WaitingRow(kind: kind, since: since, order: id, ordinal: ordinal)) }
    }
    for payment in payments { add(.unknownPayment, payment.id.ordinal, since: payment.unknownSince) }
    for refund in refunds { add(.unknownRefund, refund.id.ordinal, since: refund.unknownSince) }
    for item in cases where item.resolvedAt == nil { add(.openCase, item.id.ordinal, since: item.openedAt) }
    add(.closingOrder, 0, since: closingSince)
    return rows
  }
}

extension OrderName {
  /// The column by which an order is found, in `orders` and in `archived`, and what stands there.
  package var column: (name: String, value: [UInt8]) {
    switch self {
    case .id(let id): ("id", id.bits.bytes)
    case .number(let number): ("number", number.bits.bytes)
    }
  }
}

extension OrderID: ColumnValue {
  package var cell: Cell { .bytes(bits.bytes) }
  package init?(_ row: some ResultRow, at index: Int) {
    guard let bytes = row.bytes(at: index), let bits = UInt128(bytes: bytes) else { return nil }
    self.init(bits: bits)
  }
}

extension OrderNumber: ColumnValue {
  package var cell: Cell { .bytes(bits.bytes) }
  package init?(_ row: some ResultRow, at index: Int) {
    guard let bits = row.bytes(at: index).flatMap({ UInt128(bytes: $0) }) else { return nil }
    self.init(bits: bits)
  }
}

extension WakePlace {
  /// - Parameter row: the columns of `Columns.orders`, followed by when it wakes.
  package init?(_ row: some ResultRow) {
    guard let id = OrderID(row, at: 0), let at = row.integer(at: Columns.orders.all.count) else { return nil }
    self.init(at: at, id: id)
  }

  fileprivate var arguments: Arguments { [at, id] }
}

/// A row of `wakes` that does not say what its order says. A release that plans wakes in another way left it, or a person.
package struct StaleWake {
  private let place: WakePlace
  package let order: Order

  /// - Returns: `nil` where it says the same.
  package init?(_ place: WakePlace, of order: Order) {
    guard place.id == order.id, place != WakePlace(order) else { return nil }
    self.place = place
    self.order = order
  }

  /// What puts it right.
  /// - Parameter order: as it will be.
  package func changes(for order: Order) -> [RowChange] {
    [.delete(.wakes, place.arguments)] + (WakePlace(order).map { [.insert(.wakes, $0.arguments)] } ?? [])
  }
}

extension UnreadableOrder {
  /// - Parameters:
  ///   - row: begins with the columns of `Columns.orders`.
  ///   - table: what of it cannot be read.
  package init(_ row: some ResultRow, _ table: String) {
    self.init(
      id: OrderID(row, at: 0)?.text ?? "", number: OrderNumber(row, at: 1), table: table)
  }
}

/// A row to write.
package enum RowChange {
  /// All columns.
  case insert(OrderTable, Arguments)
  /// The changing columns, then the key. It must find its row.
  case update(OrderTable, Arguments)
  /// All columns. It is no harm if it is not there.
  case delete(OrderTable, Arguments)
  /// What is added to a merchant's feed at a moment. Each store gives it its place in its own way.
  case feed(MerchantID, Instant, FeedRow)
}

extension Changeset {
  /// Hands over the rows that differ. New strays and the probe are left to the store.
  /// - Throws: `ImpossibleOrder`, or what `write` throws.
  package func rows(_ write: (RowChange) throws -> Void) throws {
    for change in orders {
      let (before, after) = (change.before, change.after)
      if let before {
        try write(.update(.orders, after.changingArguments() + [after.id, before.version]))
      } else {
        try write(.insert(.orders, after.fixedArguments + after.changingArguments()))
      }
      let (wake, nextWake) = (before.flatMap(WakePlace.init), WakePlace(after))
      if wake != nextWake {
        if let wake { try write(.delete(.wakes, wake.arguments)) }
        if let nextWake { try write(.insert(.wakes, nextWake.arguments)) }
      }
      if (before?.isUnderWay ?? false) != after.isUnderWay {
        let arguments: Arguments = [after.registration.merchant.text, after.id]
        try write(after.isUnderWay ? .insert(.underWay, arguments) : .delete(.underWay, arguments))
      }
      let (old, new) = (before?.waiting ?? [], after.waiting)
      guard old != new else { continue }
      for row in old where !new.contains(row) { try write(.delete(.waiting, row.arguments)) }
      for row in new where !old.contains(row) { try write(.insert(.waiting, row.arguments)) }
    }
    let packs = eventPacks
    for (_, pack) in packs { try write(.insert(.events, [pack.order, pack.first, pack.encoded])) }
    for (merchant, at, row) in Self.feeds(packs) { try write(.feed(merchant, at, row)) }
    for stray in strays where stray.resolvedAt != nil {
      try write(.update(.strays, [0, stray.encoded, stray.id.order, stray.id.ordinal, 1]))
    }
  }

  /// The rows of cases without an order that are new, unless they are there already.
  package var newStrays: [Arguments] {
    strays.filter { $0.resolvedAt == nil }
      .map { [$0.id.order, $0.id.ordinal, $0.openedAt.column, 1, $0.encoded] }
  }

  /// The events of each order together, in the sequence of the orders' first ones.
  private var eventPacks: [(merchant: MerchantID, pack: EventPack)] {
    var (places, groups): ([OrderID: Int], [(merchant: MerchantID, events: [Event])]) = ([:], [])
    for (order, event) in events {
      if let place = places[order.id] {
        groups[place].events.append(event)
      } else {
        places[order.id] = groups.count
        groups.append((order.registration.merchant, [event]))
      }
    }
    return groups.map { ($0.merchant, EventPack($0.events)) }
  }
}

extension Order {
  fileprivate var isUnderWay: Bool { status == .open || status == .closing }

  /// Whether nothing of it goes on, by itself or by somebody.
  var isAtRest: Bool { !isUnderWay && wakeAt == nil && waiting.isEmpty }
}

extension Case {
  /// A case of money that came for an order which is not stored.
  fileprivate var encoded: [UInt8] {
    var writer = StateWriter(origin: Instant(milliseconds: 0))
    writer.count(StrayField.format, 1)
    writer.message(StrayField.item) { encode(into: &$0, nil) }
    return writer.bytes
  }

  /// - Parameter row: the columns of `Columns.strays`.
  /// - Throws: `UnreadableRow` where anything of it is not understood.
  package init(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "strays")
    let (order, ordinal): (OrderID, Int) = (try columns.next(), try columns.next())
    let openedAt = try columns.instant()
    let isOpen = try columns.next() as Int == 1
    let state: [UInt8] = try columns.next()
    guard (1...CaseID.maximum).contains(ordinal) else { throw columns.unreadable }
    self = try state.withUnsafeBytes { bytes in
      var reader = StateReader(bytes, table: "strays")
      guard case .format = try reader.next() as StrayField?, try reader.count() == 1,
        case .item = try reader.next() as StrayField?
      else { throw reader.unreadable }
      let item = try Case(CaseID(order: order, ordinal: ordinal), try reader.message(), nil)
      guard try (reader.next() as StrayField?) == nil else { throw reader.unreadable }
      return item
    }
    guard self.openedAt == openedAt, (resolvedAt == nil) == isOpen else { throw columns.unreadable }
  }
}

extension Instant {
  package var column: Int64 { milliseconds }
}
