import OrderRows
import PaymentCore
import PaymentEngine

/// The statements that write and read orders. Sets of rows go in as an array for each column.
enum PostgresSQL {
  private static let columns = OrderTable.allCases.map { Columns.of($0) }
  private static let inserts = columns.map { columns in
    PostgresStatement(
      name: "insert_\(columns.table)",
      sql: insert(into: columns.table.name, columns.all) + (columns.table.isNarrow ? " ON CONFLICT DO NOTHING" : ""))
  }
  private static let updates = columns.map { update($0) }
  private static let deletes = columns.map { delete($0) }

  static let lockByID = PostgresStatement(
    name: "lock_by_id",
    sql: "SELECT \(Columns.orders.list) FROM orders WHERE id = ANY($1::bytea[]) ORDER BY id FOR UPDATE SKIP LOCKED")

  static let lockByIDOrNumber = PostgresStatement(
    name: "lock_by_id_or_number",
    sql: """
      SELECT \(Columns.orders.list) FROM orders WHERE id IN (
        SELECT unnest($1::bytea[]) UNION SELECT o.id FROM orders o WHERE o.number = ANY($2::bytea[]))
      ORDER BY id FOR UPDATE SKIP LOCKED
      """)

  /// Which orders are there, locked or not, and which were moved into an archive, as they stand at one moment: the
  /// columns of `archived`, of which an order that is there has the first two.
  static let named = PostgresStatement(
    name: "named",
    sql: """
      SELECT id, number, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM orders
        WHERE id = ANY($1::bytea[]) OR number = ANY($2::bytea[])
      UNION ALL SELECT \(Columns.archived.list) FROM archived
        WHERE id = ANY($1::bytea[]) OR number = ANY($2::bytea[])
      """)

  static let lockDue = PostgresStatement(
    name: "lock_due",
    sql: """
      SELECT \(Columns.orders.list), wakes.at FROM wakes JOIN orders ON orders.id = wakes.id
      WHERE wakes.at <= $1::bigint AND (wakes.at, wakes.id) > ($2::bigint, $3::bytea)
        AND ((get_byte(wakes.id, 6) & 15) * 256 + get_byte(wakes.id, 7)) % $5::bigint = $6::bigint
      ORDER BY wakes.at, wakes.id LIMIT $4::bigint FOR UPDATE OF orders SKIP LOCKED
      """)

  static let strays = PostgresStatement(
    name: "strays",
    sql: "SELECT \(Columns.strays.list) FROM strays WHERE id = ANY($1::bytea[]) ORDER BY id, ordinal")

  /// Fails where an order that was just inserted is in an archive. The unique key alone would let one through that was
  /// registered, paid and moved while this transaction stood still. After the insert, so that one of the two is seen.
  private static let refuseArchived = PostgresStatement(
    name: "refuse_archived",
    sql: "SELECT 1 / (CASE WHEN count(*) = 0 THEN 1 ELSE 0 END) FROM archived WHERE number = ANY($1::bytea[])")

  /// The database's own time in milliseconds, at this statement and not at the transaction's beginning.
  static let clock = PostgresStatement(
    name: "clock", sql: "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")

  /// What somebody else has written already stays as it is.
  private static let insertStrays = PostgresStatement(
    name: "insert_strays_if_new",
    sql: insert(into: "strays", Columns.strays.all) + " ON CONFLICT (id, ordinal) DO NOTHING")

  /// What a batch adds to the feeds of merchants. It gets its place later, since transactions commit in another order
  /// than that in which they began.
  private static let insertQueued = PostgresStatement(
    name: "insert_queued",
    sql: """
      INSERT INTO feed_queue (session, batch, merchant, at, count, spans)
      SELECT $1, $2::bigint, * FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bytea[])
      """)

  /// Notes that this session writes its next batch. After its fence was moved it cannot.
  static let advance = PostgresStatement(
    name: "advance",
    sql: counted(
      """
      UPDATE sessions SET batch = $2::bigint, at = $3::bigint
      WHERE id = $1 AND batch = $2::bigint - 1 AND fence = $4::bigint
      """, expecting: "1"))

  /// The first write of a connection. Once it is acknowledged, everything that the connection sees is safe, too. It waits
  /// for whatever is still being committed under this id, says what was written last, and by moving the fence sees to it
  /// that nothing more comes of what was sent before.
  static let open = PostgresStatement(
    name: nil,
    sql: """
      INSERT INTO sessions (id, batch, fence, at) VALUES ($1, 0, 0, $2::bigint)
      ON CONFLICT (id) DO UPDATE SET fence = sessions.fence + 1, at = excluded.at
      RETURNING batch, fence, current_setting('synchronous_commit')
      """)

  // MARK: Sets of rows

  private static func type(_ form: Columns.Name.Form) -> String {
    switch form {
    case .text: "text[]"
    case .integer: "bigint[]"
    case .bytes: "bytea[]"
    }
  }

  private static func unnest(_ columns: [Columns.Name]) -> String {
    let arrays = columns.enumerated().map { "$\($0.offset + 1)::\(type($0.element.form))" }
    return "unnest(\(arrays.joined(separator: ", ")))"
  }

  /// Takes an array for each column.
  static func insert(into table: String, _ columns: [Columns.Name]) -> String {
    "INSERT INTO \(table) (\(columns.map(\.text).joined(separator: ", "))) SELECT * FROM \(unnest(columns))"
  }

  private static func update(_ columns: Columns) -> PostgresStatement {
    let all = columns.changing + columns.key
    // A column can be both: what it is found by, and what it becomes.
    let names = columns.changing.map(\.text) + columns.key.map { "key_\($0.text)" }
    let assignments = columns.changing.map { "\($0.text) = n.\($0.text)" }.joined(separator: ", ")
    let condition = columns.key.map { "t.\($0.text) = n.key_\($0.text)" }.joined(separator: " AND ")
    return PostgresStatement(
      name: "update_\(columns.table)",
      sql: counted(
        """
        UPDATE \(columns.table.name) AS t SET \(assignments)
        FROM \(unnest(all)) AS n (\(names.joined(separator: ", "))) WHERE \(condition)
        """, expecting: "$\(all.count + 1)::bigint"))
  }

  private static func delete(_ columns: Columns) -> PostgresStatement {
    let names = columns.all.map(\.text)
    return PostgresStatement(
      name: "delete_\(columns.table)",
      sql: """
        DELETE FROM \(columns.table.name) AS t USING \(unnest(columns.all)) AS n (\(names.joined(separator: ", ")))
        WHERE \(names.map { "t.\($0) = n.\($0)" }.joined(separator: " AND "))
        """)
  }

  /// A change that fails, and with it the transaction, unless it finds all of its rows.
  static func counted(_ change: String, expecting count: String) -> String {
    "WITH done AS (\(change) RETURNING 1) SELECT 1 / (CASE WHEN count(*) = \(count) THEN 1 ELSE 0 END) FROM done"
  }

  /// The changes of a batch.
  /// - Parameters:
  ///   - stale: what is put right beside them.
  ///   - session: who writes, and
  ///   - batch: which of its batches it is.
  static func calls(
    _ changes: Changeset, _ stale: [StaleWake], session: String, batch: Int64
  ) throws(PostgresFailure) -> [PostgresCall] {
    var (updates, deletes, inserts): ([OrderTable: [Arguments]], [OrderTable: [Arguments]], [OrderTable: [Arguments]]) =
      ([:], [:], [:])
    var feeds: [Arguments] = []
    func add(_ change: RowChange) {
      switch change {
      case .feed(let merchant, let at, let row): feeds.append([merchant.text, at.column, row.count, row.encoded])
      case .update(let table, let arguments): updates[table, default: []].append(arguments)
      case .delete(let table, let arguments): deletes[table, default: []].append(arguments)
      case .insert(let table, let arguments): inserts[table, default: []].append(arguments)
      }
    }
    do { try changes.rows(add) } catch { throw .impossible }
    for wake in stale {
      let changed = changes.orders.first { $0.after.id == wake.order.id }
      wake.changes(for: changed?.after ?? wake.order).forEach(add)
    }
    var calls: [PostgresCall] = []
    for table in OrderTable.allCases {
      if let rows = updates[table] {
        calls.append(PostgresCall(Self.updates[table.rawValue], arrays(rows) + ["\(rows.count)"]))
      }
      if let rows = deletes[table] { calls.append(PostgresCall(Self.deletes[table.rawValue], arrays(rows))) }
      if let rows = inserts[table] { calls.append(insert(rows, into: table)) }
    }
    if let registered = inserts[.orders] {
      calls.append(PostgresCall(refuseArchived, [array(registered.lazy.map { $0[1]?.cell })]))
    }
    let strays = changes.newStrays
    if !strays.isEmpty { calls.append(PostgresCall(insertStrays, arrays(strays))) }
    if !feeds.isEmpty { calls.append(PostgresCall(insertQueued, [session, "\(batch)"] + arrays(feeds))) }
    return calls
  }

  static func insert(_ rows: [Arguments], into table: OrderTable) -> PostgresCall {
    PostgresCall(inserts[table.rawValue], arrays(rows))
  }

  private static func arrays(_ rows: [Arguments]) -> [String] {
    rows[0].indices.map { column in array(rows.lazy.map { $0[column]?.cell }) }
  }

  /// An array in PostgreSQL's text form.
  static func array(_ cells: some Sequence<Cell?>) -> String {
    var text = [UInt8(ascii: "{")]
    for cell in cells {
      if text.count > 1 { text.append(UInt8(ascii: ",")) }
      switch cell {
      case nil: text.append(contentsOf: "NULL".utf8)
      case .integer(let value): text.append(contentsOf: String(value).utf8)
      case .text(let value): text.append(quoted: value)
      case .bytes(let value):
        text.append(contentsOf: #""\\x"#.utf8)
        text.append(hexadecimal: value)
        text.append(UInt8(ascii: "\""))
      }
    }
    text.append(UInt8(ascii: "}"))
    return String(decoding: text, as: UTF8.self)
  }

  /// One value in PostgreSQL's text form.
  static func bytes(_ bytes: [UInt8]) -> String {
    var text = Array("\\x".utf8)
    text.append(hexadecimal: bytes)
    return String(decoding: text, as: UTF8.self)
  }
}

extension [UInt8] {
  fileprivate mutating func append(quoted value: String) {
    append(UInt8(ascii: "\""))
    for byte in value.utf8 {
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { append(UInt8(ascii: "\\")) }
      append(byte)
    }
    append(UInt8(ascii: "\""))
  }

  fileprivate mutating func append(hexadecimal bytes: [UInt8]) {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "W") + value }
    for byte in bytes {
      append(digit(byte >> 4))
      append(digit(byte & 15))
    }
  }
}
