package import PaymentCore
package import PaymentEngine

/// A file of orders that were moved out of a store, as the store knows it.
package struct Archive: Equatable, Sendable {
  /// Counted from 1 within the store, for people.
  package let number: Int
  /// 16 random hexadecimal digits, which stand in the file, too.
  package let id: String
  /// The whole path of the file when it was made.
  package let name: String
  package let begunAt: Instant
  /// How many orders were moved into it, also those that were brought back.
  package let orders: Int
  /// How many bytes of the file, from its beginning, hold them. What follows was written and not moved.
  package let bytes: Int
  /// Of these bytes.
  package let sha256: [UInt8]
}

/// How far an archive is known to be on disk.
package struct ArchiveEnd: Sendable {
  package let bytes: Int
  package let sha256: [UInt8]

  package init(bytes: Int, sha256: [UInt8]) {
    self.bytes = bytes
    self.sha256 = sha256
  }
}

/// Where orders are moved out of the store, and back. It may be used beside servers that use the store.
package protocol Archiving: Sendable {
  /// All of them, by their numbers.
  func archives() async throws(Fault) -> [Archive]

  /// - Parameters:
  ///   - id: a new one.
  ///   - end: of an empty file.
  /// - Returns: its number.
  func begin(_ id: String, name: String, at now: Instant, _ end: ArchiveEnd) async throws(Fault) -> Int

  /// Takes orders out of the store, as long as they stand there as they were read; what remains is an `ArchivedOrder` of
  /// each. All of them at once, or none.
  /// - Parameters:
  ///   - number: of an archive that was begun, and
  ///   - id: its id.
  ///   - end: of the file with these orders.
  /// - Throws: `Fault.conflict` where the store does not know the archive, or knows more of it already.
  func move(
    _ orders: [StoredOrder], into number: Int, _ id: String, _ end: ArchiveEnd, at now: Instant
  ) async throws(Fault)

  /// Puts orders back that were moved into this archive, as they stood when they were moved.
  /// - Returns: which of them. The others are not in this archive, or no more.
  func bringBack(_ orders: [StoredOrder], from archive: Int) async throws(Fault) -> Set<OrderID>

  /// Takes the oldest places out of a merchant's feed, whose events all happened before a moment, or went with their orders.
  /// The newest place stays.
  /// - Returns: whether there were some. There may be more.
  func dropFeed(of merchant: MerchantID, before end: Instant) async throws(Fault) -> Bool
}

extension StoredOrder {
  /// Whether nothing goes on about it, all of it is there and understood, and it last changed before a moment.
  package func isAtRest(before end: Instant) -> Bool {
    guard let order, order.updatedAt < end, order.isAtRest else { return false }
    return isWhole
  }

  /// Its row in `archived`.
  package func archivedRow(at now: Instant, archive: Int) -> Arguments {
    guard let order else { preconditionFailure("only an order that is understood is moved") }
    let kept = order.keptPayment
    return [
      id, order.number, order.registration.merchant.text, order.status.rawValue, kept?.id.ordinal, kept?.provider.text,
      kept?.received?.amount,
      kept?.received?.currency.code, now.column, archive,
    ]
  }
}

extension Archive {
  /// The columns of `archives`.
  static let names = Columns.Name.list("number#, id, name, begun_at#, orders#, bytes#, sha256%")
  package static let columns = names.map(\.text).joined(separator: ", ")

  /// - Parameter row: of `columns`.
  package init(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "archives")
    number = try columns.next()
    id = try columns.next()
    name = try columns.next()
    begunAt = try columns.instant()
    orders = try columns.next()
    bytes = try columns.next()
    sha256 = try columns.next()
  }
}

extension ArchivedOrder {
  /// - Parameter row: begins with the columns of `archived`.
  package init(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "archived")
    let id: OrderID = try columns.next()
    _ = try columns.next() as [UInt8]
    let merchant = MerchantID(try columns.next())
    let status: Order.Status = try columns.must(Order.Status(rawValue: try columns.next()))
    let (ordinal, provider): (Int64?, String?) = (try columns.optional(), try columns.optional())
    let (amount, currency): (Int64?, String?) = (try columns.optional(), try columns.optional())
    var kept: Kept?
    if let ordinal, let provider, let amount, let currency = currency.flatMap({ Currency(code: $0) }) {
      kept = Kept(
        payment: try columns.must(PaymentID(id, ordinal)), provider: ProviderName(provider),
        received: Money(amount, currency))
    }
    guard (kept != nil) == (status == .paid) else { throw columns.unreadable }
    self.init(
      id: id, merchant: merchant, status: status, kept: kept, archivedAt: try columns.instant(),
      archive: try columns.next())
  }
}

/// How much of a feed can be taken out of it.
package struct FeedEnd {
  private let end: Instant
  /// The last row that can be taken out, if there is one.
  package private(set) var position: Int64?
  private var isOpen = true
  private var candidate: Int64?

  /// How many rows are looked at in one transaction. A row may name the events of many orders.
  private static let limit = 50

  package static func select(_ merchant: String) -> String {
    "SELECT position, spans FROM feed WHERE merchant = \(merchant) ORDER BY position LIMIT \(limit)"
  }

  package init(before end: Instant) { self.end = end }

  /// Which events a row of `select` names, by the order and the number of the first one; none where it cannot be read.
  package static func wanted(_ row: some ResultRow) -> [(order: OrderID, first: Int)] {
    (try? FeedRow(row.bytes(at: 1) ?? []))?.spans.map { ($0.order, $0.first) } ?? []
  }

  /// What cannot be read stays, and what is behind it.
  /// - Parameters:
  ///   - row: the next of `select`.
  ///   - packs: of a span, by the order and the number of the first event; `nil` where they are not there.
  package mutating func add(_ row: some ResultRow, _ packs: (OrderID, Int) throws -> EventPack?) {
    guard isOpen else { return }
    // Only now, since the newest row stays, so that the next one knows its place.
    position = candidate
    let wanted = Self.wanted(row)
    let isOld = try? wanted.allSatisfy { order, first in
      try packs(order, first).map { $0.events.allSatisfy { $0.at < end } } ?? true
    }
    isOpen = !wanted.isEmpty && isOld ?? false
    candidate = row.integer(at: 0)
  }
}
