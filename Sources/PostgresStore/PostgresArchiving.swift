package import OrderRows
package import PaymentCore
package import PaymentEngine

/// Moves orders out of the database, and back. An order that a lane holds at the moment stays where it is.
package struct PostgresArchiving: Archiving {
  private let readers: PostgresReaders

  package init(_ readers: PostgresReaders) { self.readers = readers }

  package func archives() async throws(Fault) -> [Archive] {
    try await readers.read([PostgresCall(sql: "SELECT \(Archive.columns) FROM archives ORDER BY number")]) { results in
      try results[0].rows.map { try Archive($0) }
    }
  }

  package func begin(_ id: String, name: String, at now: Instant, _ end: ArchiveEnd) async throws(Fault) -> Int {
    let sql = """
      INSERT INTO archives (number, id, name, begun_at, orders, bytes, sha256)
      SELECT coalesce(max(number), 0) + 1, $1, $2, $3::bigint, 0, $4::bigint, $5::bytea FROM archives RETURNING number
      """
    let call = PostgresCall(
      sql: sql, [id, name, "\(now.milliseconds)", "\(end.bytes)", PostgresSQL.bytes(end.sha256)])
    return try await readers.read([call]) { results in
      guard let number = results[0].rows.first?.integer(at: 0) else { throw UnreadableRow(table: "archives") }
      return Int(number)
    }
  }

  package func move(
    _ orders: [StoredOrder], into number: Int, _ id: String, _ end: ArchiveEnd, at now: Instant
  ) async throws(Fault) {
    let take = PostgresCall(
      sql: Self.take,
      [PostgresSQL.array(orders.map { $0.id.cell }), PostgresSQL.array(orders.map { .bytes($0.state) })])
    try await readers.use { connection throws(PostgresFailure) in
      let taken = try connection.run([.begin, take], within: PostgresSession.limit)[1].orderIDs
      let rows = orders.filter { taken.contains($0.id) }.map { $0.archivedRow(at: now, archive: number) }
      let remember = rows.isEmpty ? [] : [PostgresSQL.insert(rows, into: .archived)]
      let note = PostgresCall(
        sql: Self.note,
        ["\(taken.count)", "\(end.bytes)", PostgresSQL.bytes(end.sha256), "\(number)", id])
      _ = try connection.run(remember + [note, .commit], within: PostgresSession.limit)
    }
  }

  private static let take = """
    WITH chosen AS (
      SELECT o.id FROM orders AS o JOIN unnest($1::bytea[], $2::bytea[]) AS n (id, state)
        ON o.id = n.id AND o.state = n.state
      ORDER BY o.id FOR UPDATE OF o SKIP LOCKED
    ), forgotten AS (
      DELETE FROM events AS e USING chosen WHERE e.id = chosen.id
    )
    DELETE FROM orders AS o USING chosen WHERE o.id = chosen.id RETURNING o.id
    """

  /// A connection that was given up may still be at work on an earlier part: it must not undo what is known of a later one.
  private static let note = PostgresSQL.counted(
    """
    UPDATE archives SET orders = orders + $1::bigint, bytes = $2::bigint, sha256 = $3::bytea
    WHERE number = $4::bigint AND id = $5 AND bytes <= $2::bigint
    """, expecting: "1")

  package func bringBack(_ orders: [StoredOrder], from archive: Int) async throws(Fault) -> Set<OrderID> {
    let take = PostgresCall(
      sql: "DELETE FROM archived WHERE id = ANY($1::bytea[]) AND archive = $2::bigint RETURNING id",
      [PostgresSQL.array(orders.map { $0.id.cell }), "\(archive)"])
    return try await readers.use { connection throws(PostgresFailure) in
      let taken = try connection.run([.begin, take], within: PostgresSession.limit)[1].orderIDs
      let back = orders.filter { taken.contains($0.id) }
      var calls: [PostgresCall] = []
      if !back.isEmpty { calls.append(PostgresSQL.insert(back.map(\.row), into: .orders)) }
      let events = back.flatMap(\.eventRows)
      if !events.isEmpty { calls.append(PostgresSQL.insert(events, into: .events)) }
      _ = try connection.run(calls + [.commit], within: PostgresSession.limit)
      return taken
    }
  }

  package func dropFeed(of merchant: MerchantID, before end: Instant) async throws(Fault) -> Bool {
    try await readers.use { connection throws(PostgresFailure) in
      let select = PostgresCall(sql: FeedEnd.select("$1"), [merchant.text])
      let rows = try connection.run([select], within: PostgresSession.limit)[0].rows
      let packs = try PostgresReading.packs(rows.flatMap { FeedEnd.wanted($0) }, connection)
      var feed = FeedEnd(before: end)
      for row in rows { feed.add(row) { try packs[$0]?[$1].map { try EventPack($0) } } }
      guard let position = feed.position else { return false }
      let delete = PostgresCall(
        sql: "DELETE FROM feed WHERE merchant = $1 AND position <= $2::bigint", [merchant.text, "\(position)"])
      _ = try connection.run([delete], within: PostgresSession.limit)
      return true
    }
  }
}
