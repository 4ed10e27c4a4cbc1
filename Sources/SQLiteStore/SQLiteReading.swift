import GRDB
import OrderRows
package import PaymentCore
package import PaymentEngine

/// The reading side: snapshots of their own, beside the writer.
package struct SQLiteReading: Reading {
  let database: SQLiteDatabase

  package init(_ database: SQLiteDatabase) { self.database = database }

  package func order(_ name: OrderName) async throws(Fault) -> Order? {
    let column = name.column
    return try await orders("FROM orders WHERE \(column.name) = ?", [column.value]).first
  }

  package func archived(_ name: OrderName) async throws(Fault) -> ArchivedOrder? {
    try await database.read { try $0.archivedOrder(name.column) }
  }

  package func stray(_ id: CaseID) async throws(Fault) -> Case? {
    try await database.read { database in
      var found: Case?
      let sql = "SELECT \(Columns.strays.list) FROM strays WHERE id = ? AND ordinal = ?"
      try database.cachedStatement(sql: sql).run([id.order, id.ordinal]) { found = try Case($0) }
      return found
    }
  }

  package func orders(
    of merchant: MerchantID, status: Order.Status?, after: OrderID?, limit: Int
  ) async throws(Fault) -> [Order] {
    // Ids begin with their time, so the newest come first.
    let before = after ?? OrderID(bits: .max)
    return switch status {
    case nil:
      try await orders(
        "FROM orders WHERE merchant = ? AND id < ? ORDER BY id DESC LIMIT ?", [merchant.text, before, limit])
    case .open?, .closing?:
      // SQLite joins in this order, and so stops at the limit.
      try await orders(
        """
        FROM under_way CROSS JOIN orders ON orders.id = under_way.id
        WHERE under_way.merchant = ? AND under_way.id < ? AND orders.status = ? ORDER BY under_way.id DESC LIMIT ?
        """, [merchant.text, before, status!.rawValue, limit])
    case .paid?, .closed?:
      try await orders(
        "FROM orders WHERE merchant = ? AND id < ? AND status = ? ORDER BY id DESC LIMIT ?",
        [merchant.text, before, status!.rawValue, limit])
    }
  }

  package func orders(
    payableFrom start: Instant, to end: Instant, paidSince: Instant, after: OrderID?, of count: Int
  ) async throws(Fault) -> (orders: [Order], unreadable: [UnreadableOrder], last: OrderID?) {
    try await database.read { database in
      var loader = OrderLoader(database)
      var last: OrderID?
      try loader.load(
        "FROM orders WHERE id > ? ORDER BY id LIMIT ?", [after ?? OrderID(bits: 0), count]
      ) { row, _ in last = OrderID(row, at: 0) }
      let payable = loader.loaded.orders.filter { $0.wasPayable(from: start, to: end, orPaidSince: paidSince) }
      return (payable, loader.loaded.unreadable, last)
    }
  }

  private func orders(_ source: String, _ arguments: Arguments) async throws(Fault) -> [Order] {
    try await database.read { database in
      var loader = OrderLoader(database)
      try loader.load(source, arguments)
      return try loader.loaded.whole()
    }
  }

  package func changed(since known: [OrderID: Int]) async throws(Fault) -> [Order] {
    try await database.read { database in
      var loader = OrderLoader(database)
      for (id, version) in known { try loader.load("FROM orders WHERE id = ? AND version > ?", [id, version]) }
      return loader.loaded.orders
    }
  }

  package func waiting(limit: Int) async throws(Fault) -> [Waiting] {
    try await database.read { database in
      var strays: [Waiting] = []
      try database.cachedStatement(sql: Waiting.selectStrays(limit: limit)).run([]) {
        strays.append(try Waiting(stray: $0))
      }
      return try Waiting.Kind.allCases.flatMap { kind in
        var waiting: [Waiting] = []
        try database.cachedStatement(sql: Waiting.select(kind, limit: limit)).run([]) {
          waiting.append(try Waiting(kind, $0))
        }
        return kind == .openCase ? Waiting.oldest(waiting, strays, limit: limit) : waiting
      }
    }
  }

  package func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event] {
    try await database.read { database in
      var events: [Event] = []
      try database.cachedStatement(sql: EventPack.select("?1", after: "?2", limit: "?3")).run([order, after, limit]) {
        events += try EventPack($0).events
      }
      return EventPack.page(events, after: after, limit: limit)
    }
  }

  package func feed(
    of merchant: MerchantID, after position: Int64, limit: Int
  ) async throws(Fault) -> Feed {
    try await database.read { database in
      var page = FeedPage(after: position, limit: limit)
      try database.cachedStatement(sql: FeedRow.page("?1", after: "?2", count: "?3")).run([
        merchant.text, page.after, limit,
      ]) { try page.add($0) }
      return try page.feed {
        try database.events(of: $0, first: $1)
      } isArchived: {
        try database.archivedOrder(OrderName.id($0).column) != nil
      }
    }
  }
}

extension Database {
  /// The events of one commit.
  func events(of order: OrderID, first: Int) throws -> EventPack? {
    var found: EventPack?
    let sql = "SELECT \(Columns.of(.events).list) FROM events WHERE id = ? AND sequence = ?"
    try cachedStatement(sql: sql).run([order, first]) { found = try EventPack($0) }
    return found
  }

  /// - Parameter column: of an `OrderName`.
  func archivedOrder(_ column: (name: String, value: [UInt8])) throws -> ArchivedOrder? {
    var found: ArchivedOrder?
    let sql = "SELECT \(Columns.archived.list) FROM archived WHERE \(column.name) = ?"
    try cachedStatement(sql: sql).run([column.value]) { found = try ArchivedOrder($0) }
    return found
  }
}
