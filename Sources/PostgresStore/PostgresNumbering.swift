import OrderRows
import PaymentCore
import PaymentEngine

/// Gives their places in the merchants' feeds to what was committed and has none. One at a time, whichever node it is.
struct PostgresNumbering {
  let connection: PostgresConnection

  /// How many rows get a place in one transaction, and a few more.
  private static let limit = 500

  private static let lock = PostgresCall(
    PostgresStatement(name: "lock_numbering", sql: "SELECT id FROM numbering WHERE id = 1 FOR UPDATE"))
  /// All of a moment, so that what belongs together is seen together.
  private static let oldest = PostgresStatement(
    name: "oldest_queued",
    sql: """
      SELECT at, session, batch, merchant, count, spans FROM feed_queue
      WHERE at <= (SELECT max(o.at) FROM (SELECT at FROM feed_queue ORDER BY at LIMIT $1::bigint) AS o)
      ORDER BY at, session, batch, merchant
      """)
  private static let lasts = PostgresStatement(
    name: "feed_ends", sql: "SELECT merchant, last FROM feeds WHERE merchant = ANY($1::text[])")
  private static let place = PostgresStatement(
    name: "insert_feed",
    sql: """
      INSERT INTO feed (merchant, position, spans) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])
      """)
  private static let remember = PostgresStatement(
    name: "remember_feed_ends",
    sql: """
      INSERT INTO feeds (merchant, last) SELECT * FROM unnest($1::text[], $2::bigint[])
      ON CONFLICT (merchant) DO UPDATE SET last = excluded.last
      """)
  private static let take = PostgresStatement(
    name: "take_queued",
    sql: """
      DELETE FROM feed_queue AS q
      USING unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS n (at, session, batch, merchant)
      WHERE q.at = n.at AND q.session = n.session AND q.batch = n.batch AND q.merchant = n.merchant
      """)

  /// Whether something has no place.
  static let hasQueued = PostgresCall(
    PostgresStatement(name: "has_queued", sql: "SELECT at FROM feed_queue ORDER BY at LIMIT 1"))

  /// - Returns: whether there may be more.
  func run() throws(PostgresFailure) -> Bool {
    let found = try connection.run(
      [.begin, Self.lock, PostgresCall(Self.oldest, ["\(Self.limit)"])], within: PostgresSession.limit)
    let rows = try Queued.inOrder(found[2].rows.map { row throws(PostgresFailure) in try Queued(row) })
    guard !rows.isEmpty else {
      _ = try connection.run([.commit], within: PostgresSession.limit)
      return false
    }
    let merchants = Set(rows.map(\.merchant)).sorted().map { Cell.text($0) }
    let ends = try connection.run(
      [PostgresCall(Self.lasts, [PostgresSQL.array(merchants)])], within: PostgresSession.limit)
    var last: [String: Int64] = [:]
    for row in ends[0].rows { if let merchant = row.text(at: 0) { last[merchant] = row.integer(at: 1) } }
    var positions: [Int64] = []
    for row in rows {
      last[row.merchant, default: 0] += row.count
      positions.append(last[row.merchant]!)
    }
    func array(_ cells: [Cell]) -> String { PostgresSQL.array(cells) }
    let changed = last.sorted { $0.key < $1.key }
    _ = try connection.run(
      [
        PostgresCall(
          Self.place,
          [
            array(rows.map { .text($0.merchant) }), array(positions.map { .integer($0) }),
            array(rows.map { .bytes($0.spans) }),
          ]),
        PostgresCall(
          Self.remember, [array(changed.map { .text($0.key) }), array(changed.map { .integer($0.value) })]),
        PostgresCall(
          Self.take,
          [
            array(rows.map { .integer($0.at) }), array(rows.map { .text($0.session) }),
            array(rows.map { .integer($0.batch) }), array(rows.map { .text($0.merchant) }),
          ]),
        .commit,
      ], within: PostgresSession.limit)
    return rows.count >= Self.limit
  }
}

/// A row that waits for its place.
struct Queued {
  let at: Int64
  let session: String
  let batch: Int64
  let merchant: String
  /// How many events it holds.
  let count: Int64
  /// As they are encoded. One that cannot be read gets a place all the same, and holds up only its own merchant's readers.
  let spans: [UInt8]

  init(at: Int64, session: String, batch: Int64, merchant: String, count: Int64, spans: [UInt8]) {
    (self.at, self.session, self.batch, self.merchant) = (at, session, batch, merchant)
    (self.count, self.spans) = (count, spans)
  }

  fileprivate init(_ row: PostgresRow) throws(PostgresFailure) {
    guard let at = row.integer(at: 0), let session = row.text(at: 1), let batch = row.integer(at: 2),
      let merchant = row.text(at: 3), let count = row.integer(at: 4), let spans = row.bytes(at: 5)
    else { throw .unreadable(UnreadableRow(table: "feed_queue")) }
    self.init(at: at, session: session, batch: batch, merchant: merchant, count: count, spans: spans)
  }

  /// The same rows, so that the events of every order come in their sequence. Rows of one moment may stand the other way
  /// round, and so may those that a wrong clock made.
  static func inOrder(_ rows: [Queued]) -> [Queued] {
    var ofOrder: [OrderID: [(first: Int, row: Int)]] = [:]
    for (index, row) in rows.enumerated() {
      for span in (try? FeedRow(row.spans))?.spans ?? [] {
        ofOrder[span.order, default: []].append((span.first, index))
      }
    }
    var waitsFor = [Int](repeating: 0, count: rows.count)
    var followers = [[Int]](repeating: [], count: rows.count)
    for spans in ofOrder.values where spans.count > 1 {
      let sorted = spans.sorted { $0.first < $1.first }
      for (earlier, later) in zip(sorted, sorted.dropFirst()) where earlier.row != later.row {
        waitsFor[later.row] += 1
        followers[earlier.row].append(later.row)
      }
    }
    var ordered: [Queued] = []
    var isPassed = [Bool](repeating: false, count: rows.count)
    for index in rows.indices {
      isPassed[index] = true
      var ready = waitsFor[index] == 0 ? [index] : []
      while let next = ready.popLast() {
        ordered.append(rows[next])
        for follower in followers[next] {
          waitsFor[follower] -= 1
          if waitsFor[follower] == 0, isPassed[follower] { ready.append(follower) }
        }
      }
    }
    return ordered
  }
}
