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

  package func begin(_ name: String, at now: Instant, sha256: [UInt8]) async throws(Fault) -> Int {
    try await database.write { database in
      let sql = "INSERT INTO archives (name, begun_at, orders, bytes, sha256) VALUES (?, ?, 0, 0, ?)"
      try database.cachedStatement(sql: sql).run([name, now.column, sha256])
      return Int(database.lastInsertedRowID)
    }
  }

  package func move(
    _ orders: [StoredOrder], into archive: Int, bytes: Int, sha256: [UInt8], at now: Instant
  ) async throws(Fault) {
    try await database.write { database in
      var count = 0
      for order in orders {
        try database.cachedStatement(sql: Self.remember).run([now.column, archive, order.id, order.state])
        guard database.changesCount == 1 else { continue }
        count += 1
        try database.cachedStatement(sql: "DELETE FROM orders WHERE id = ?").run([order.id])
        try database.cachedStatement(sql: "DELETE FROM events WHERE id = ?").run([order.id])
      }
      let sql = "UPDATE archives SET orders = orders + ?, bytes = ?, sha256 = ? WHERE number = ?"
      try database.cachedStatement(sql: sql).run([count, bytes, sha256, archive])
    }
  }

  private static let remember = """
    INSERT INTO archived (id, lookup, merchant, status, kept_ordinal, archived_at, archive)
    SELECT id, lookup, merchant, status, kept_ordinal, ?, ? FROM orders WHERE id = ? AND state = ?
    """

  package func bringBack(_ orders: [StoredOrder], from archive: Int) async throws(Fault) -> Int {
    try await database.write { database in
      var count = 0
      for order in orders {
        try database.cachedStatement(sql: "DELETE FROM archived WHERE id = ? AND archive = ?").run([order.id, archive])
        guard database.changesCount == 1 else { continue }
        count += 1
        let rows = [RowChange.insert(.orders, order.row)] + order.eventRows.map { .insert(.events, $0) }
        for write in rows.map({ RowWrite($0) }) { try database.cachedStatement(sql: write.sql).run(write.arguments) }
      }
      return count
    }
  }

  package func dropFeed(of merchant: MerchantID, before end: Instant) async throws(Fault) -> Bool {
    try await database.write { database in
      var feed = FeedEnd(before: end)
      try database.cachedStatement(sql: FeedEnd.select("?")).run([merchant.text]) { row in
        try feed.add(row) { try database.events(of: $0, first: $1) }
      }
      guard let position = feed.position else { return false }
      let sql = "DELETE FROM feed WHERE merchant = ? AND position <= ?"
      try database.cachedStatement(sql: sql).run([merchant.text, position])
      return true
    }
  }
}
