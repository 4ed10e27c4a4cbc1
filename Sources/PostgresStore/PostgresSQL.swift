import OrderRows
import PaymentEngine

/// The statements that write and read orders. Sets of rows go in as an array for each column.
enum PostgresSQL {
  private static let columns = OrderTable.allCases.map { Columns.of($0) }
  private static let inserts = columns.map { insert($0, suffix: "") }
  private static let updates = columns.map { update($0, suffix: "") }
  private static let partsOf = columns.map { columns in
    PostgresStatement(
      name: "parts_\(columns.table)",
      sql: """
        SELECT \(columns.list) FROM \(columns.table) WHERE order_id = ANY($1::text[]) ORDER BY order_id, ordinal
        """)
  }

  static let lockByID = PostgresStatement(
    name: "lock_by_id",
    sql: "SELECT \(Columns.orders.list) FROM orders WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE")

  /// Also by merchants and references. One statement, so that all nodes lock in the order of the ids.
  static let lockByIDOrReference = PostgresStatement(
    name: "lock_by_id_or_reference",
    sql: """
      SELECT \(Columns.orders.list) FROM orders WHERE id IN (
        SELECT unnest($1::text[]) UNION
        SELECT o.id FROM unnest($2::text[], $3::text[]) AS r (merchant, reference)
        JOIN orders o ON o.merchant = r.merchant AND o.reference = r.reference)
      ORDER BY id FOR UPDATE
      """)

  static let lockDue = PostgresStatement(
    name: "lock_due",
    sql: """
      SELECT \(Columns.orders.list) FROM orders
      WHERE wake_at <= $1::bigint AND (wake_at, id) > ($2::bigint, $3 COLLATE "C")
      ORDER BY wake_at, id LIMIT $4::bigint FOR UPDATE SKIP LOCKED
      """)

  /// The database's own time in milliseconds, at this statement and not at the transaction's beginning.
  static let clock = PostgresStatement(
    name: "clock", sql: "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")

  static func parts(_ table: OrderTable) -> PostgresStatement { partsOf[table.rawValue] }

  /// What somebody else has written already stays as it is.
  static let insertStrays = insert(.cases, suffix: " ON CONFLICT (order_id, ordinal) DO NOTHING")

  static let resolveStrays = update(.cases, suffix: " AND t.resolved_at IS NULL")

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

  private static func parameter(_ index: Int, _ form: Columns.Name.Form) -> String {
    switch form {
    case .text: "$\(index)::text[]"
    case .integer: "$\(index)::bigint[]"
    case .bytes: "$\(index)::bytea[]"
    }
  }

  private static func insert(_ columns: Columns, suffix: String) -> PostgresStatement {
    return PostgresStatement(
      name: "insert_\(columns.table)\(suffix.isEmpty ? "" : "_if_new")",
      sql: insert(into: "\(columns.table)", columns.all) + suffix)
  }

  /// Takes an array for each column.
  static func insert(into table: String, _ columns: [Columns.Name]) -> String {
    let arrays = columns.enumerated().map { parameter($0.offset + 1, $0.element.form) }.joined(separator: ", ")
    return "INSERT INTO \(table) (\(columns.map(\.text).joined(separator: ", "))) SELECT * FROM unnest(\(arrays))"
  }

  private static func update(_ columns: Columns, suffix: String) -> PostgresStatement {
    let all = columns.changing + columns.key
    let arrays = all.enumerated().map { parameter($0.offset + 1, $0.element.form) }.joined(separator: ", ")
    let assignments = columns.changing.map { "\($0.text) = n.\($0.text)" }.joined(separator: ", ")
    let condition = columns.key.map { "t.\($0.text) = n.\($0.text)" }.joined(separator: " AND ")
    return PostgresStatement(
      name: "update_\(columns.table)\(suffix.isEmpty ? "" : "_once")",
      sql: counted(
        """
        UPDATE \(columns.table) AS t SET \(assignments)
        FROM unnest(\(arrays)) AS n (\(all.map(\.text).joined(separator: ", "))) WHERE \(condition)\(suffix)
        """, expecting: "$\(all.count + 1)::bigint"))
  }

  /// A change that fails, and with it the transaction, unless it finds all of its rows.
  private static func counted(_ change: String, expecting count: String) -> String {
    "WITH done AS (\(change) RETURNING 1) SELECT 1 / (CASE WHEN count(*) = \(count) THEN 1 ELSE 0 END) FROM done"
  }

  /// The changes of a batch, in the order that the guards want: what ended is written before what began.
  static func calls(_ changes: Changeset) -> [PostgresCall] {
    var rows: [OrderTable: (inserts: [Arguments], updates: [Arguments])] = [:]
    changes.rows { change in
      switch change {
      case .insert(let table, let arguments): rows[table, default: ([], [])].inserts.append(arguments)
      case .update(let table, let arguments): rows[table, default: ([], [])].updates.append(arguments)
      }
    }
    var calls: [PostgresCall] = []
    for table in OrderTable.allCases {
      guard let updates = rows[table]?.updates, !updates.isEmpty else { continue }
      calls.append(PostgresCall(Self.updates[table.rawValue], arrays(updates) + ["\(updates.count)"]))
    }
    for table in OrderTable.allCases {
      guard let inserts = rows[table]?.inserts, !inserts.isEmpty else { continue }
      calls.append(PostgresCall(Self.inserts[table.rawValue], arrays(inserts)))
    }
    let (new, resolved) = (changes.newStrays, changes.resolvedStrays)
    if !new.isEmpty { calls.append(PostgresCall(insertStrays, arrays(new))) }
    if !resolved.isEmpty { calls.append(PostgresCall(resolveStrays, arrays(resolved) + ["\(resolved.count)"])) }
    return calls
  }

  private static func arrays(_ rows: [Arguments]) -> [String] {
    rows[0].indices.map { column in array(rows.lazy.map { $0[column]?.cell }) }
  }

  /// An array in PostgreSQL's text form.
  static func array(_ cells: some Sequence<Cell?>) -> String {
    var text = "{"
    for cell in cells {
      if text.utf8.count > 1 { text += "," }
      switch cell {
      case nil: text += "NULL"
      case .integer(let value): text += String(value)
      case .text(let value): text.append(quoted: value)
      case .bytes(let value): text.append(quoted: bytes(value))
      }
    }
    return text + "}"
  }

  static func bytes(_ bytes: [UInt8]) -> String { "\\x" + bytes.map(\.hexadecimal).joined() }
}

extension String {
  fileprivate mutating func append(quoted value: String) {
    append("\"")
    for byte in value.unicodeScalars {
      if byte == "\"" || byte == "\\" { append("\\") }
      unicodeScalars.append(byte)
    }
    append("\"")
  }
}

extension UInt8 {
  fileprivate var hexadecimal: String { (self < 16 ? "0" : "") + String(self, radix: 16) }
}
