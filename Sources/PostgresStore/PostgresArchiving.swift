package import OrderRows
package import PaymentCore
package import PaymentEngine

/// Moves orders out of the database, and back. An order that a lane holds at the moment stays where it is.
package struct PostgresArchiving: Archiving {
  private let readers: PostgresReaders

  package init(_ readers: PostgresReaders) { self.readers = readers }

  package func archives() async throws(Fault) -> [Archive] {
    try await run([PostgresCall(sql: "SELECT \(Archive.columns) FROM archives ORDER BY number")]) { results in
      try results[0].rows.map { try Archive($0) }
    }
  }

  package func begin(_ name: String, at now: Instant, sha256: [UInt8]) async throws(Fault) -> Int {
    let sql = """
      INSERT INTO archives (number, name, begun_at, orders, bytes, sha256)
      SELECT coalesce(max(number), 0) + 1, $1, $2::bigint, 0, 0, $3::bytea FROM archives RETURNING number
      """
    let call = PostgresCall(sql: sql, [name, "\(now.milliseconds)", PostgresSQL.bytes(sha256)])
    return try await run([call]) { results in
      guard let number = results[0].rows.first?.integer(at: 0) else { throw UnreadableRow(table: "archives") }
      return Int(number)
    }
  }

  package func move(
    _ orders: [StoredOrder], into archive: Int, bytes: Int, sha256: [UInt8], at now: Instant
  ) async throws(Fault) {
    let arguments = [
      PostgresSQL.array(orders.map { $0.id.cell }), PostgresSQL.array(orders.map { .bytes($0.state) }),
      "\(now.milliseconds)", "\(archive)", "\(bytes)", PostgresSQL.bytes(sha256),
    ]
    try await run([.begin, PostgresCall(sql: Self.move, arguments), .commit]) { _ in }
  }

  private static let move = """
    WITH chosen AS (
      SELECT o.id FROM orders AS o JOIN unnest($1::bytea[], $2::bytea[]) AS n (id, state)
        ON o.id = n.id AND o.state = n.state
      ORDER BY o.id FOR UPDATE OF o SKIP LOCKED
    ), moved AS (
      DELETE FROM orders AS o USING chosen WHERE o.id = chosen.id
      RETURNING o.id, o.lookup, o.merchant, o.status, o.kept_ordinal
    ), remembered AS (
      INSERT INTO archived (id, lookup, merchant, status, kept_ordinal, archived_at, archive)
      SELECT id, lookup, merchant, status, kept_ordinal, $3::bigint, $4::bigint FROM moved
    ), forgotten AS (
      DELETE FROM events AS e USING moved WHERE e.id = moved.id
    )
    UPDATE archives SET orders = orders + (SELECT count(*) FROM moved), bytes = $5::bigint, sha256 = $6::bytea
    WHERE number = $4::bigint
    """

  package func bringBack(_ orders: [StoredOrder], from archive: Int) async throws(Fault) -> Int {
    try await readers.use { connection throws(PostgresFailure) in
      let take = PostgresCall(
        sql: "DELETE FROM archived WHERE id = ANY($1::bytea[]) AND archive = $2::bigint RETURNING id",
        [PostgresSQL.array(orders.map { $0.id.cell }), "\(archive)"])
      let taken = try connection.run([.begin, take], within: PostgresSession.limit)[1]
      let ids = Set(taken.rows.compactMap { OrderID($0, at: 0) })
      let back = orders.filter { ids.contains($0.id) }
      var calls: [PostgresCall] = []
      if !back.isEmpty { calls.append(PostgresSQL.insert(back.map(\.row), into: .orders)) }
      let events = back.flatMap(\.eventRows)
      if !events.isEmpty { calls.append(PostgresSQL.insert(events, into: .events)) }
      _ = try connection.run(calls + [.commit], within: PostgresSession.limit)
      return ids.count
    }
  }

  package func dropFeed(of merchant: MerchantID, before end: Instant) async throws(Fault) -> Bool {
    try await readers.use { connection throws(PostgresFailure) in
      let select = PostgresCall(sql: FeedEnd.select("$1"), [merchant.text])
      let rows = try connection.run([select], within: PostgresSession.limit)[0].rows
      var feed = FeedEnd(before: end)
      do {
        let packs = try PostgresReading.packs(try rows.flatMap { try FeedEnd.wanted($0) }, connection)
        for row in rows { try feed.add(row) { order, first in packs[order]?.first { $0.first == first } } }
      } catch let failure as PostgresFailure { throw failure } catch { throw PostgresFailure(reading: error) }
      guard let position = feed.position else { return false }
      let delete = PostgresCall(
        sql: "DELETE FROM feed WHERE merchant = $1 AND position <= $2::bigint", [merchant.text, "\(position)"])
      _ = try connection.run([delete], within: PostgresSession.limit)
      return true
    }
  }

  private func run<Value: Sendable>(
    _ calls: [PostgresCall], _ parse: @escaping @Sendable ([PostgresResult]) throws -> Value
  ) async throws(Fault) -> Value {
    try await readers.use { connection throws(PostgresFailure) in
      let results = try connection.run(calls, within: PostgresSession.limit)
      do { return try parse(results) } catch { throw PostgresFailure(reading: error) }
    }
  }
}
