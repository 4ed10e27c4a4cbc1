import OrderRows
package import PaymentCore
package import PaymentEngine

/// The reading side. What it shows was committed, and survives a fail-over: see `PostgresSession`.
package struct PostgresReading: Reading {
  let readers: PostgresReaders

  package init(_ readers: PostgresReaders) { self.readers = readers }

  package func order(_ name: OrderName) async throws(Fault) -> Order? {
    let (column, value) = name.column
    return try await orders(
      "by_\(column)", "FROM orders WHERE \(column) = $1::bytea", [PostgresSQL.bytes(value)]
    ).whole().first
  }

  package func archived(_ name: OrderName) async throws(Fault) -> ArchivedOrder? {
    let (column, value) = name.column
    let statement = PostgresStatement(
      name: "archived_by_\(column)",
      sql: "SELECT \(Columns.archived.list) FROM archived WHERE \(column) = $1::bytea")
    return try await readers.read([PostgresCall(statement, [PostgresSQL.bytes(value)])]) { results in
      try results[0].rows.first.map { try ArchivedOrder($0) }
    }
  }

  package func stray(_ id: CaseID) async throws(Fault) -> Case? {
    let statement = PostgresStatement(
      name: "stray", sql: "SELECT \(Columns.strays.list) FROM strays WHERE id = $1::bytea AND ordinal = $2::bigint")
    return try await readers.read([PostgresCall(statement, [id.order.argument, "\(id.ordinal)"])]) { results in
      try results[0].rows.first.map { try Case($0) }
    }
  }

  package func orders(
    of merchant: MerchantID, status: Order.Status?, after: OrderID?, limit: Int
  ) async throws(Fault) -> [Order] {
    // Ids begin with their time, so the newest come first.
    let source =
      switch status {
      case nil: "FROM orders WHERE merchant = $1 AND id < $2::bytea ORDER BY id DESC LIMIT $3::bigint"
      case .open?, .closing?:
        """
        FROM under_way JOIN orders ON orders.id = under_way.id
        WHERE under_way.merchant = $1 AND under_way.id < $2::bytea AND orders.status = '\(status!.rawValue)'
        ORDER BY under_way.id DESC LIMIT $3::bigint
        """
      case .paid?, .closed?:
        """
        FROM orders WHERE merchant = $1 AND id < $2::bytea AND status = '\(status!.rawValue)'
        ORDER BY id DESC LIMIT $3::bigint
        """
      }
    return try await orders(
      "of_merchant_\(status?.rawValue ?? "any")", source,
      [merchant.text, (after ?? OrderID(bits: .max)).argument, "\(limit)"]
    ).whole()
  }

  package func orders(
    payableFrom start: Instant, to end: Instant, paidSince: Instant, after: OrderID?, of count: Int
  ) async throws(Fault) -> (orders: [Order], unreadable: [UnreadableOrder], last: OrderID?) {
    try await readers.use { connection throws(PostgresFailure) in
      let statement = PostgresStatement(
        name: "orders_in_sequence",
        sql: "SELECT \(Columns.orders.list) FROM orders WHERE id > $1::bytea ORDER BY id LIMIT $2::bigint")
      let call = PostgresCall(statement, [(after ?? OrderID(bits: 0)).argument, "\(count)"])
      let rows = try connection.run([call], within: PostgresSession.limit)[0].rows
      var loaded = Loaded()
      loaded.add(rows)
      return (
        loaded.orders.filter { $0.wasPayable(from: start, to: end, orPaidSince: paidSince) }, loaded.unreadable,
        rows.last.flatMap { OrderID($0, at: 0) }
      )
    }
  }

  /// - Parameters:
  ///   - name: of the source, for the prepared statement.
  ///   - source: what follows the columns of the orders.
  private func orders(_ name: String, _ source: String, _ arguments: [String]) async throws(Fault) -> Loaded {
    let statement = PostgresStatement(name: "orders_\(name)", sql: "SELECT \(Columns.orders.list) \(source)")
    return try await readers.use { connection throws(PostgresFailure) in
      var loaded = Loaded()
      loaded.add(try connection.run([PostgresCall(statement, arguments)], within: PostgresSession.limit)[0].rows)
      return loaded
    }
  }

  package func changed(since known: [OrderID: Int]) async throws(Fault) -> [Order] {
    try await orders(
      "changed",
      """
      FROM unnest($1::bytea[], $2::bigint[]) AS k (id, version)
      JOIN orders ON orders.id = k.id AND orders.version > k.version
      """,
      [
        PostgresSQL.array(known.map { $0.key.cell }), PostgresSQL.array(known.map { .integer(Int64($0.value)) }),
      ]
    ).orders
  }

  package func waiting(limit: Int) async throws(Fault) -> [Waiting] {
    let kinds = Waiting.Kind.allCases
    let calls = kinds.map { PostgresCall(sql: Waiting.select($0, limit: limit)) }
    return try await readers.read(calls + [PostgresCall(sql: Waiting.selectStrays(limit: limit))]) { results in
      let strays = try results.last!.rows.map { try Waiting(stray: $0) }
      return try zip(kinds, results).flatMap { kind, result in
        let waiting = try result.rows.map { try Waiting(kind, $0) }
        return kind == .openCase ? Waiting.oldest(waiting, strays, limit: limit) : waiting
      }
    }
  }

  package func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event] {
    let statement = PostgresStatement(
      name: "events_of_order", sql: EventPack.select("$1::bytea", after: "$2::bigint", limit: "$3::bigint"))
    return try await readers.read([PostgresCall(statement, [order.argument, "\(after)", "\(limit)"])]) { results in
      EventPack.page(try results[0].rows.flatMap { try EventPack($0).events }, after: after, limit: limit)
    }
  }

  // MARK: The feed

  private static let page = PostgresStatement(
    name: "page", sql: FeedRow.page("$1", after: "$2::bigint", count: "$3::bigint"))
  private static let packs = PostgresStatement(
    name: "packs",
    sql: """
      SELECT \(Columns.of(.events).list) FROM unnest($1::bytea[], $2::bigint[]) AS n (id, sequence)
      JOIN events ON events.id = n.id AND events.sequence = n.sequence
      """)

  /// For how many transactions of the numbering one reader waits at most. Then it gets what has a place by then.
  private static let patience = 20

  package func feed(
    of merchant: MerchantID, after position: Int64, limit: Int
  ) async throws(Fault) -> Feed {
    for _ in 0..<Self.patience {
      let (feed, isQueued) = try await page(of: merchant, after: position, limit: limit)
      guard feed.archivedTo == nil, feed.events.count < limit, isQueued else { return feed }
      // Where places cannot be given now, what has one is true all the same.
      guard let isMore = try? await readers.number(), isMore else { break }
    }
    return try await page(of: merchant, after: position, limit: limit).feed
  }

  private func page(
    of merchant: MerchantID, after position: Int64, limit: Int
  ) async throws(Fault) -> (feed: Feed, isQueued: Bool) {
    try await readers.use { connection throws(PostgresFailure) in
      var page = FeedPage(after: position, limit: limit)
      let results = try connection.run(
        [PostgresNumbering.hasQueued, PostgresCall(Self.page, [merchant.text, "\(page.after)", "\(limit)"])],
        within: PostgresSession.limit)
      do {
        for row in results[1].rows { try page.add(row) }
        let packs = try Self.packs(page.wanted, connection)
        let missing = page.wanted.map(\.order).filter { packs[$0] == nil }
        let archived = missing.isEmpty ? [] : try Self.archived(missing, connection)
        let feed = try page.feed {
          try packs[$0]?[$1].map { try EventPack($0) }
        } isArchived: {
          archived.contains($0)
        }
        return (feed, !results[0].rows.isEmpty)
      } catch let failure as PostgresFailure { throw failure } catch { throw PostgresFailure(reading: error) }
    }
  }

  /// Which of these orders were moved into an archive.
  private static func archived(
    _ orders: [OrderID], _ connection: PostgresConnection
  ) throws(PostgresFailure) -> Set<OrderID> {
    let call = PostgresCall(
      sql: "SELECT id FROM archived WHERE id = ANY($1::bytea[])", [PostgresSQL.array(orders.map(\.cell))])
    return try connection.run([call], within: PostgresSession.limit)[0].orderIDs
  }

  /// The rows of events, by the order and the number of the first one.
  static func packs(
    _ wanted: [(order: OrderID, first: Int)], _ connection: PostgresConnection
  ) throws(PostgresFailure) -> [OrderID: [Int: PostgresRow]] {
    guard !wanted.isEmpty else { return [:] }
    let arrays = [
      PostgresSQL.array(wanted.map { $0.order.cell }), PostgresSQL.array(wanted.map { .integer(Int64($0.first)) }),
    ]
    let rows = try connection.run([PostgresCall(packs, arrays)], within: PostgresSession.limit)[0].rows
    var found: [OrderID: [Int: PostgresRow]] = [:]
    for row in rows {
      if let order = OrderID(row, at: 0), let first = row.integer(at: 1) {
        found[order, default: [:]][Int(first)] = row
      }
    }
    return found
  }
}

extension PostgresResult {
  /// What stands in its first column.
  var orderIDs: Set<OrderID> { Set(rows.compactMap { OrderID($0, at: 0) }) }
}

extension OrderID {
  fileprivate var argument: String { PostgresSQL.bytes(bits.bytes) }
}
