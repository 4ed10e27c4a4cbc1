import GRDB
package import PaymentCore
package import PaymentEngine

/// The reading side: snapshots of their own, beside the writer.
package struct SQLiteReading: Reading {
  private let pool: DatabasePool

  package init(_ database: SQLiteDatabase) { pool = database.pool }

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
    guard let status else {
      return try await orders(
        "WHERE merchant = ? AND id < ? ORDER BY id DESC LIMIT ?", [merchant.text, before, limit])
    }
    return try await orders(
      "WHERE merchant = ? AND status = ? AND id < ? ORDER BY id DESC LIMIT ?",
      [merchant.text, status.rawValue, before, limit])
  }

  private func orders(_ condition: String, _ arguments: StatementArguments) async throws(Fault) -> [Order] {
    try await faultingAsync {
      try await pool.read { database in
        var loader = OrderLoader(database)
        try loader.load(condition, arguments)
        return loader.orders
      }
    }
  }

  package func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event] {
    try await faultingAsync {
      try await pool.read { database in
        let sql = """
          SELECT \(Columns.events.list) FROM events WHERE order_id = ? AND sequence > ? ORDER BY sequence LIMIT ?
          """
        return try Array(
          Row.fetchCursor(
            database.cachedStatement(sql: sql), arguments: [order.text, after, limit]
          ).map(Event.init))
      }
    }
  }

  package func feed(
    of merchant: MerchantID, after position: Int64, limit: Int
  ) async throws(Fault) -> [(position: Int64, event: Event)] {
    try await faultingAsync {
      try await pool.read { database in
        let sql = """
          SELECT \(Columns.events.list), position FROM events WHERE position > ? AND merchant = ?
          ORDER BY position LIMIT ?
          """
        return try Array(
          Row.fetchCursor(
            database.cachedStatement(sql: sql), arguments: [position, merchant.text, limit]
          ).map { (position: $0["position"], event: try Event($0)) })
      }
    }
  }

  package func ping() async throws(Fault) {
    _ = try await faultingAsync { try await pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM merchants") } }
  }
}
