package import PaymentCore
package import PaymentEngine

/// A file of orders that were moved out of a store, as the store knows it.
package struct Archive: Equatable, Sendable {
  /// Counted from 1 within the store.
  package let number: Int
  /// The file's name, without its folder.
  package let name: String
  package let begunAt: Instant
  /// How many orders were moved into it, also those that were brought back.
  package let orders: Int
  /// How many bytes of the file, from its beginning, hold them. What follows was written and not moved.
  package let bytes: Int
  /// Of these bytes.
  package let sha256: [UInt8]
}

/// Where orders are moved out of the store, and back. It may be used beside servers that use the store.
package protocol Archiving: Sendable {
  /// All of them, by their numbers.
  func archives() async throws(Fault) -> [Archive]

  /// - Parameter sha256: of nothing.
  /// - Returns: its number.
  func begin(_ name: String, at now: Instant, sha256: [UInt8]) async throws(Fault) -> Int

  /// Takes orders out of the store, as long as they stand there as they were read; what remains is an `ArchivedOrder` of
  /// each. All of them at once, or none.
  /// - Parameters:
  ///   - archive: its number.
  ///   - bytes: how far its file is known to be on disk, with these orders, and
  ///   - sha256: the hash of this much of it.
  func move(
    _ orders: [StoredOrder], into archive: Int, bytes: Int, sha256: [UInt8], at now: Instant
  ) async throws(Fault)

  /// Puts orders back that were moved into this archive, as they stood when they were moved.
  /// - Returns: how many that was. The others are in the store already.
  func bringBack(_ orders: [StoredOrder], from archive: Int) async throws(Fault) -> Int

  /// Takes the oldest places out of a merchant's feed: those whose orders were moved, and those of events before a moment.
  /// The newest place stays.
  /// - Returns: whether there were some. There may be more.
  func dropFeed(of merchant: MerchantID, before end: Instant) async throws(Fault) -> Bool
}

extension StoredOrder {
  /// Whether nothing goes on about it, all of it is understood, and it last changed before a moment.
  package func isAtRest(before end: Instant) -> Bool {
    guard let order, order.updatedAt < end, order.isAtRest else { return false }
    return hasWholeEvents
  }
}

extension Archive {
  /// The columns of `archives`.
  package static let columns = "number, name, begun_at, orders, bytes, sha256"

  /// - Parameter row: of `columns`.
  package init(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "archives")
    number = try columns.next()
    name = try columns.next()
    begunAt = try columns.instant()
    orders = try columns.next()
    bytes = try columns.next()
    sha256 = try columns.next()
  }
}

extension ArchivedOrder {
  /// What it is read from.
  package static let columns = "id, merchant, status, kept_ordinal, archived_at, archive"

  /// - Parameter row: of `columns`.
  package init(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "archived")
    let id: OrderID = try columns.next()
    let merchant = MerchantID(try columns.next())
    let status: Order.Status = try columns.must(Order.Status(rawValue: try columns.next()))
    let kept: Int64? = try columns.optional()
    self.init(
      id: id, merchant: merchant, status: status,
      keptPayment: try kept.map { try columns.must(PaymentID(id, $0)) },
      archivedAt: try columns.instant(), archive: try columns.next())
  }
}

/// How much of a feed can be taken out of it.
package struct FeedEnd {
  private let end: Instant
  /// The last row that can be taken out, if there is one.
  package private(set) var position: Int64?
  private var isOpen = true
  private var candidate: Int64?

  /// How many rows are looked at in one transaction.
  package static let limit = 500

  package static func select(_ merchant: String) -> String {
    "SELECT position, spans FROM feed WHERE merchant = \(merchant) ORDER BY position LIMIT \(limit)"
  }

  package init(before end: Instant) { self.end = end }

  /// Which events a row of `select` names, by the order and the number of the first one.
  package static func wanted(_ row: some ResultRow) throws -> [(order: OrderID, first: Int)] {
    try FeedRow(row.bytes(at: 1) ?? []).spans.map { ($0.order, $0.first) }
  }

  /// - Parameters:
  ///   - row: the next of `select`.
  ///   - packs: of a span, by the order and the number of the first event; `nil` where they were moved.
  package mutating func add(_ row: some ResultRow, _ packs: (OrderID, Int) throws -> EventPack?) throws {
    guard isOpen else { return }
    // Only now, since the newest row stays, so that the next one knows its place.
    position = candidate
    isOpen = try Self.wanted(row).allSatisfy { order, first in
      try packs(order, first).map { $0.events.allSatisfy { $0.at < end } } ?? true
    }
    candidate = row.integer(at: 0)
  }
}
