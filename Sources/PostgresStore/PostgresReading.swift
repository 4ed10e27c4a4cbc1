import OrderRows
package import PaymentCore
package import PaymentEngine

/// The reading side. What it shows was committed, and survives a fail-over: see `PostgresSession`.
package struct PostgresReading: Reading {
  private let readers: PostgresReaders

  package init(_ readers: PostgresReaders) { self.readers = readers }

  package func order(_ id: OrderID) async throws(Fault) -> Order? {
    try await orders("by_id", "WHERE id = $1", [id.text]).first
  }

  package func order(merchant: MerchantID, reference: String) async throws(Fault) -> Order? {
    try await orders("by_reference", "WHERE merchant = $1 AND reference = $2", [merchant.text, reference]).first
  }

  package func orders(
    of merchant: MerchantID, status: Order.Status?, after: OrderID?, limit: Int
  ) async throws(Fault) -> [Order] {
    // Ids begin with their time, so the newest come first.
    return try await orders(
      "of_merchant_\(status?.rawValue ?? "any")",
      "WHERE merchant = $1 AND id < $2 \(status.condition) ORDER BY id DESC LIMIT $3::bigint",
      [merchant.text, after?.text ?? Self.last, "\(limit)"])
  }

  package func orders(
    payableFrom start: Instant, to end: Instant, after: OrderID?, of count: Int
  ) async throws(Fault) -> (orders: [Order], last: OrderID?) {
    let after = after?.text ?? ""
    let last = try await readers.use { connection throws(PostgresFailure) in
      let sql = "SELECT max(id) FROM (SELECT id FROM orders WHERE id > $1 ORDER BY id LIMIT $2::bigint) o"
      let call = PostgresCall(PostgresStatement(name: "last_of_some", sql: sql), [after, "\(count)"])
      return try connection.run([call], within: PostgresSession.limit)[0].rows.first?.text(at: 0)
    }
    guard let last else { return ([], nil) }
    let some = try await orders(
      "payable",
      """
      WHERE id > $1 AND id <= $2 AND created_at <= $3::bigint
        AND (status IN ('open', 'closing') OR updated_at >= $4::bigint) ORDER BY id
      """, [after, last, "\(end.milliseconds)", "\(start.milliseconds)"])
    return (some, OrderID(text: last))
  }

  /// Sorts behind every id.
  private static let last = "ord_" + String(repeating: "z", count: 26)

  private func orders(_ name: String, _ condition: String, _ arguments: [String]) async throws(Fault) -> [Order] {
    try await loaded(name, condition, arguments).whole()
  }

  /// - Parameter name: of the condition, for the prepared statement.
  private func loaded(_ name: String, _ condition: String, _ arguments: [String]) async throws(Fault) -> Loaded {
    let statement = PostgresStatement(
      name: "orders_\(name)", sql: "SELECT \(Columns.orders.list) FROM orders \(condition)")
    return try await readers.use { connection throws(PostgresFailure) in
      // One snapshot for an order and its parts, which are written together.
      let begin = PostgresCall(sql: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
      var parts = OrderParts()
      let heads = try connection.run([begin, PostgresCall(statement, arguments)], within: PostgresSession.limit)
      parts.read(heads: heads[1...], parts: [])
      let ids = PostgresSQL.array(parts.missing(besides: []).map { .text($0.text) })
      let rows = try connection.run(
        OrderParts.tables.map { PostgresCall(PostgresSQL.parts($0), [ids]) } + [.commit], within: PostgresSession.limit)
      parts.read(heads: [], parts: rows.dropLast())
      return parts.loaded
    }
  }

  package func changed(since known: [OrderID: Int]) async throws(Fault) -> [Order] {
    try await loaded(
      "changed",
      """
      WHERE id IN (
        SELECT o.id FROM unnest($1::text[], $2::bigint[]) AS k (id, version)
        JOIN orders o ON o.id = k.id AND o.version > k.version)
      """,
      [
        PostgresSQL.array(known.map { .text($0.key.text) }), PostgresSQL.array(known.map { .integer(Int64($0.value)) }),
      ]
    ).orders
  }

  package func waiting(limit: Int) async throws(Fault) -> [Waiting] {
    try await readers.use { connection throws(PostgresFailure) in
      let kinds = Waiting.Kind.allCases
      let results = try connection.run(
        kinds.map { PostgresCall(sql: Waiting.select($0, limit: limit)) }, within: PostgresSession.limit)
      do {
        return try zip(kinds, results).flatMap { kind, result in try result.rows.map { try Waiting(kind, $0) } }
      } catch { throw PostgresFailure(reading: error) }
    }
  }

  package func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event] {
    let statement = PostgresStatement(
      name: "events_of_order",
      sql: """
        SELECT \(Columns.events.list) FROM events WHERE order_id = $1 AND sequence > $2::bigint
        ORDER BY sequence LIMIT $3::bigint
        """)
    return try await readers.use { connection throws(PostgresFailure) in
      let results = try connection.run(
        [PostgresCall(statement, [order.text, "\(after)", "\(limit)"])], within: PostgresSession.limit)
      return try Self.events(results[0]).map(\.event)
    }
  }

  // MARK: The feed

  private static let hasUnplaced = PostgresStatement(
    name: "has_unplaced",
    sql: "SELECT 1 FROM events WHERE merchant = $1 AND position IS NULL ORDER BY at, order_id, sequence LIMIT 1")
  private static let lockFeed = [
    PostgresStatement(
      name: "make_feed", sql: "INSERT INTO feeds (merchant, last) VALUES ($1, 0) ON CONFLICT (merchant) DO NOTHING"),
    PostgresStatement(name: "lock_feed", sql: "SELECT last FROM feeds WHERE merchant = $1 FOR UPDATE"),
  ]
  /// Gives the next places to what was committed and has none, the oldest first, and remembers the last of them.
  private static let place = PostgresStatement(
    name: "place",
    sql: """
      WITH unplaced AS (
        SELECT order_id, sequence, row_number() OVER (ORDER BY at, order_id, sequence) AS number FROM (
          SELECT order_id, sequence, at FROM events WHERE merchant = $1 AND position IS NULL
          ORDER BY at, order_id, sequence LIMIT $2::bigint) AS oldest),
      placed AS (
        UPDATE events AS e SET position = f.last + u.number FROM unplaced AS u, feeds AS f
        WHERE f.merchant = $1 AND e.order_id = u.order_id AND e.sequence = u.sequence RETURNING e.position)
      UPDATE feeds SET last = (SELECT max(position) FROM placed)
      WHERE merchant = $1 AND EXISTS (SELECT 1 FROM placed)
      """)
  private static let page = PostgresStatement(
    name: "page",
    sql: """
      SELECT \(Columns.events.list), position FROM events WHERE merchant = $1 AND position > $2::bigint
      ORDER BY position LIMIT $3::bigint
      """)

  package func feed(
    of merchant: MerchantID, after position: Int64, limit: Int
  ) async throws(Fault) -> [(position: Int64, event: Event)] {
    try await readers.use { connection throws(PostgresFailure) in
      let page = PostgresCall(Self.page, [merchant.text, "\(position)", "\(limit)"])
      let first = try connection.run(
        [PostgresCall(Self.hasUnplaced, [merchant.text]), page], within: PostgresSession.limit)
      var events = try Self.events(first[1])
      if events.count < limit, first[0].rows.first != nil {
        let lock = Self.lockFeed.map { PostgresCall($0, [merchant.text]) }
        let results = try connection.run(
          [.begin] + lock + [PostgresCall(Self.place, [merchant.text, "10000"]), .commit, page],
          within: PostgresSession.limit)
        events = try Self.events(results.last!)
      }
      return events.map { ($0.position ?? 0, $0.event) }
    }
  }

  private static func events(
    _ result: PostgresResult
  ) throws(PostgresFailure) -> [(position: Int64?, event: Event)] {
    do {
      return try result.rows.map { ($0.integer(at: Columns.events.all.count), try Event($0)) }
    } catch { throw PostgresFailure(reading: error) }
  }
}
