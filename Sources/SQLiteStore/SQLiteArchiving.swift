import GRDB
package import OrderRows
package import PaymentCore
package import PaymentEngine

/// Moves orders out of the file, and back, in transactions that a lane waits for.
package struct SQLiteArchiving: Archiving {
  private let database: SQLiteDatabase

  package init(_ database: SQLiteDatabase) { self.database = database }

  package func archives() async throws(Fault) -> [Archive] {
    try await database.read { database in
      var archives: [Archive] = []
      try database.cachedStatement(sql: "SELECT \(Archive.columns) FROM archives ORDER BY number").run([]) {
        archives.append(try Archive($0))
      }
      return archives
    }
  }

  package func begin(_ id: String, name: String, at now: Instant, _ end: ArchiveEnd) async throws(Fault) -> Int {
    try await database.write { database in
      let sql = "INSERT INTO archives (id, name, begun_at, orders, bytes, sha256) VALUES (?, ?, ?, 0, ?, ?)"
      try database.cachedStatement(sql: sql).run([id, name, now.column, end.bytes, end.sha256])
      return Int(database.lastInsertedRowID)
    }
  }

  package func move(
    _ orders: [StoredOrder], into number: Int, _ id: String, _ end: ArchiveEnd, at now: Instant
  ) async throws(Fault) {
    try await database.write { database in
      var count = 0
      for order in orders {
        let delete = "DELETE FROM orders WHERE id = ? AND state = ?"
        try database.cachedStatement(sql: delete).run([order.id, order.state])
        guard database.changesCount == 1 else { continue }
        count += 1
        try database.cachedStatement(sql: "DELETE FROM events WHERE id = ?").run([order.id])
        try Self.insert(order.archivedRow(at: now, archive: number), into: .archived, database)
      }
      let sql = """
        UPDATE archives SET orders = orders + ?, bytes = ?2, sha256 = ? WHERE number = ? AND id = ? AND bytes <= ?2
        """
      try database.cachedStatement(sql: sql).run([count, end.bytes, end.sha256, number, id])
      guard database.changesCount == 1 else { throw Fault.conflict }
    }
  }

  package func bringBack(_ orders: [StoredOrder], from archive: Int) async throws(Fault) -> Set<OrderID> {
    try await database.write { database in
      var ids: Set<OrderID> = []
      for order in orders {
        try database.cachedStatement(sql: "DELETE FROM archived WHERE id = ? AND archive = ?").run([order.id, archive])
        guard database.changesCount == 1 else { continue }
        ids.insert(order.id)
        try Self.insert(order.row, into: .orders, database)
        for row in order.eventRows { try Self.insert(row, into: .events, database) }
      }
      return ids
    }
  }

  private static func insert(_ row: Arguments, into table: OrderTable, _ database: Database) throws {
    let write = RowWrite(.insert(table, row))
    try database.cachedStatement(sql: write.sql).run(write.arguments)
  }

  package func dropFeed(of merchant: MerchantID, before end: Instant) async throws(Fault) -> Bool {
    try await database.write { database in
      var feed = FeedEnd(before: end)
      try database.cachedStatement(sql: FeedEnd.select("?")).run([merchant.text]) { row in
        feed.add(row) { try database.events(of: $0, first: $1) }
      }
      guard let position = feed.position else { return false }
      let sql = "DELETE FROM feed WHERE merchant = ? AND position <= ?"
      try database.cachedStatement(sql: sql).run([merchant.text, position])
      return true
    }
  }
}
