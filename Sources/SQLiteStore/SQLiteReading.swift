import GRDB
import OrderRows
package import PaymentCore
package import PaymentEngine

/// The reading side: snapshots of their own, beside the writer.
package struct SQLiteReading: Reading {
  private let database: SQLiteDatabase

  package init(_ database: SQLiteDatabase) { self.database = database }

  package func order(_ id: OrderID) async throws(Fault) -> Order? {
    try await orders("WHERE id = ?", [id.text]).first
  }

  package func order(merchant: MerchantID, reference: String) async throws(Fault) -> Order? {
    try await orders("WHERE merchant = ? AND reference = ?", [merchant.text, reference]).first
  }

  package func orders(
    of merchant: MerchantID, status: Order.Status?, after: OrderID?, limit: Int
  ) async throws(Fault) -> [Order] {
    // Ids begin with their time, so the newest come first; `~` sorts behind every id.
    let before = after?.text ?? "~"
    return try await orders(
      "WHERE merchant = ? AND id < ? \(status.condition) ORDER BY id DESC LIMIT ?", [merchant.text, before, limit])
  }

  package func orders(
    payableFrom start: Instant, to end: Instant, after: OrderID?, of count: Int
  ) async throws(Fault) -> (orders: [Order], last: OrderID?) {
    try await database.read { database in
      let after = after?.text ?? ""
      var last: String?
      try database.cachedStatement(sql: "SELECT max(id) FROM (SELECT id FROM orders WHERE id > ? ORDER BY id LIMIT ?)")
        .run([after, count]) { last = $0.text(at: 0) }
      guard let last else { return ([], nil) }
      var loader = OrderLoader(database)
      try loader.load(
        """
        WHERE id > ? AND id <= ? AND created_at <= ? AND (status IN ('open', 'closing') OR updated_at >= ?) ORDER BY id
        """, [after, last, end.column, start.column])
      return (try loader.loaded.whole(), OrderID(text: last))
    }
  }

  private func orders(_ condition: String, _ arguments: Arguments) async throws(Fault) -> [Order] {
    try await database.read { database in
      var loader = OrderLoader(database)
      try loader.load(condition, arguments)
      return try loader.loaded.whole()
    }
  }

  package func changed(since known: [OrderID: Int]) async throws(Fault) -> [Order] {
    try await database.read { database in
      var loader = OrderLoader(database)
      for (id, version) in known {
        try loader.load("WHERE id = ? AND version > ?", [id.text, version])
      }
      return loader.loaded.orders
    }
  }

  package func waiting(limit: Int) async throws(Fault) -> [Waiting] {
    try await database.read { database in
      var waiting: [Waiting] = []
      for kind in Waiting.Kind.allCases {
        try database.cachedStatement(sql: Waiting.select(kind, limit: limit)).run([]) {
          waiting.append(try Waiting(kind, $0))
        }
      }
      return waiting
    }
  }

  package func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event] {
    try await database.read { database in
      let sql = """
        SELECT \(Columns.events.list) FROM events WHERE order_id = ? AND sequence > ? ORDER BY sequence LIMIT ?
        """
      var events: [Event] = []
      try database.cachedStatement(sql: sql).run([order.text, after, limit]) { events.append(try Event($0)) }
      return events
    }
  }

  package func feed(
    of merchant: MerchantID, after position: Int64, limit: Int
  ) async throws(Fault) -> [(position: Int64, event: Event)] {
    try await database.read { database in
      let sql = """
        SELECT \(Columns.events.list), position FROM events WHERE merchant = ? AND position > ?
        ORDER BY position LIMIT ?
        """
      var events: [(position: Int64, event: Event)] = []
      try database.cachedStatement(sql: sql).run([merchant.text, position, limit]) { row in
        guard let position = row.integer(at: Columns.events.all.count) else { throw UnreadableRow(table: "events") }
        events.append((position, try Event(row)))
      }
      return events
    }
  }
}
