import GRDB
package import OrderRows
package import PaymentCore
package import PaymentEngine

/// Orders as they stand in the file.
extension SQLiteReading: StoredOrderReading {
  package func stored(_ name: OrderName) async throws(Fault) -> StoredOrder? {
    try await stored("WHERE \(name.column.name) = ?", [name.column.value]).first
  }

  package func stored(after: OrderID?, limit: Int) async throws(Fault) -> [StoredOrder] {
    try await stored("WHERE id > ? ORDER BY id LIMIT ?", [after ?? OrderID(bits: 0), limit])
  }

  private func stored(_ condition: String, _ arguments: Arguments) async throws(Fault) -> [StoredOrder] {
    try await database.read { database in
      var orders: [StoredOrder] = []
      try database.cachedStatement(sql: "SELECT \(Columns.orders.list) FROM orders \(condition)").run(arguments) {
        orders.append(try StoredOrder($0))
      }
      let sql = "SELECT \(Columns.of(.events).list) FROM events WHERE id = ? ORDER BY sequence"
      let events = try database.cachedStatement(sql: sql)
      for index in orders.indices { try events.run([orders[index].id]) { orders[index].addEvents($0) } }
      return orders
    }
  }
}
