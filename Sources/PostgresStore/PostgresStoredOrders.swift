package import OrderRows
package import PaymentCore
package import PaymentEngine

/// Orders as they stand in the database.
extension PostgresReading: StoredOrderReading {
  package func stored(_ name: OrderName) async throws(Fault) -> StoredOrder? {
    try await stored("WHERE \(name.column.name) = $1::bytea", [PostgresSQL.bytes(name.column.value)]).first
  }

  package func stored(after: OrderID?, limit: Int) async throws(Fault) -> [StoredOrder] {
    try await stored(
      "WHERE id > $1::bytea ORDER BY id LIMIT $2::bigint",
      [PostgresSQL.bytes((after ?? OrderID(bits: 0)).bits.bytes), "\(limit)"])
  }

  private func stored(_ condition: String, _ arguments: [String]) async throws(Fault) -> [StoredOrder] {
    try await readers.use { connection throws(PostgresFailure) in
      let call = PostgresCall(sql: "SELECT \(Columns.orders.list) FROM orders \(condition)", arguments)
      do {
        // An order and its events as they stood at one moment.
        let begin = PostgresCall(sql: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        var orders = try connection.run([begin, call], within: PostgresSession.limit)[1].rows.map {
          try StoredOrder($0)
        }
        let ids = PostgresSQL.array(orders.map { $0.id.cell })
        let sql = """
          SELECT \(Columns.of(.events).list) FROM events WHERE id = ANY($1::bytea[]) ORDER BY id, sequence
          """
        let events = try connection.run([PostgresCall(sql: sql, [ids]), .commit], within: PostgresSession.limit)[0]
        let ofOrder = Dictionary(grouping: events.rows, by: { OrderID($0, at: 0) })
        for index in orders.indices { for row in ofOrder[orders[index].id] ?? [] { orders[index].addEvents(row) } }
        return orders
      } catch let failure as PostgresFailure { throw failure } catch { throw PostgresFailure(reading: error) }
    }
  }
}
