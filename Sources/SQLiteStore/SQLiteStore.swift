import GRDB
package import OrderRows
import PaymentCore
package import PaymentEngine

/// The writing side, for the one lane that a file has.
package struct SQLiteStore: Store {
  private let pool: DatabasePool

  package init(_ database: SQLiteDatabase) { pool = database.pool }

  package func transact<Answer>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer {
    try faulting {
      try pool.writeWithoutTransaction { database in
        try database.cachedStatement(sql: "BEGIN IMMEDIATE").execute()
        let answer: Answer
        do {
          var loader = OrderLoader(database)
          for scope in scopes { try loader.load(scope) }
          let decided = try decide(loader.loaded)
          try write(decided.changes, database)
          answer = decided.answer
        } catch {
          try? database.rollback()
          throw error
        }
        do { try database.cachedStatement(sql: "COMMIT").execute() } catch let error as DatabaseError {
          try? database.rollback()
          // The log was written and could not be synced: after a crash it may count, or not.
          throw error.resultCode == .SQLITE_IOERR ? Fault.unknownCommit : error
        }
        return answer
      }
    }
  }

  private func write(_ changes: Changeset, _ database: Database) throws {
    try changes.rows { change in
      let (sql, arguments) = change.statement
      try database.cachedStatement(sql: sql).run(arguments)
      // Somebody else than PayOnce took the row away.
      guard database.changesCount == 1 else { throw Fault.conflict }
    }
    if let probe = changes.probe {
      let sql = "INSERT INTO probes (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at"
      try database.cachedStatement(sql: sql).run([probe.column])
    }
    for stray in changes.newStrays {
      try database.cachedStatement(sql: TableSQL.of(.cases).insert + " ON CONFLICT DO NOTHING").run(stray)
    }
    for stray in changes.resolvedStrays {
      try database.cachedStatement(sql: TableSQL.of(.cases).update + " AND resolved_at IS NULL").run(stray)
      guard database.changesCount == 1 else { throw Fault.conflict }
    }
  }
}

extension RowChange {
  /// What writes it.
  package var statement: (sql: String, arguments: Arguments) {
    switch self {
    case .insert(let table, let arguments): (TableSQL.of(table).insert, arguments)
    case .update(let table, let arguments): (TableSQL.of(table).update, arguments)
    }
  }
}

/// The statements of a table.
private struct TableSQL {
  let insert: String
  let update: String
  /// The rows of one order.
  let select: String

  private init(_ columns: Columns) {
    let places = columns.all.indices.map { "?\($0 + 1)" }.joined(separator: ", ")
    if columns.table == .events {
      // The next position of the merchant's feed is found by the insert itself: there is one writer.
      insert = """
        INSERT INTO events (\(columns.list), position)
        VALUES (\(places), (SELECT coalesce(max(position), 0) + 1 FROM events WHERE merchant = ?3))
        """
    } else {
      insert = "INSERT INTO \(columns.table) (\(columns.list)) VALUES (\(places))"
    }
    let assignments = columns.changing.map { "\($0.text) = ?" }.joined(separator: ", ")
    let condition = columns.key.map { "\($0.text) = ?" }.joined(separator: " AND ")
    update = "UPDATE \(columns.table) SET \(assignments) WHERE \(condition)"
    select = "SELECT \(columns.list) FROM \(columns.table) WHERE order_id = ? ORDER BY ordinal"
  }

  static func of(_ table: OrderTable) -> TableSQL { all[table.rawValue] }

  private static let all = OrderTable.allCases.map { TableSQL(.of($0)) }
}

/// Reads whole orders, each once.
struct OrderLoader {
  private let database: Database
  private var seen: Set<OrderID> = []
  private(set) var loaded = Loaded()

  init(_ database: Database) { self.database = database }

  mutating func load(_ scope: Scope) throws {
    switch scope {
    case .order(let id):
      if !seen.contains(id), try load("WHERE id = ?", [id.text]).count == 0 { try loadStrays(of: id) }
    case .reference(let merchant, let reference):
      try load("WHERE merchant = ? AND reference = ?", [merchant.text, reference])
    case .due(let now, let place, let limit):
      let place = place ?? .start
      let found = try load(
        "WHERE wake_at <= ? AND (wake_at, id) > (?, ?) ORDER BY wake_at, id LIMIT ?",
        [now.column, place.at, place.id, limit])
      if found.count == limit { loaded.dueEnd = found.last }
    }
  }

  /// - Parameter condition: one of a few fixed texts, so that its statement stays prepared.
  /// - Returns: how many rows met it, and the place of the last one.
  @discardableResult
  mutating func load(_ condition: String, _ arguments: Arguments) throws -> (count: Int, last: WakePlace?) {
    var heads: [Order.Head] = []
    var (count, last): (Int, WakePlace?) = (0, nil)
    try database.cachedStatement(sql: "SELECT \(Columns.orders.list) FROM orders \(condition)").run(arguments) {
      count += 1
      last = WakePlace($0)
      do {
        let head = try Order.head($0)
        if seen.insert(head.id).inserted { heads.append(head) }
      } catch is UnreadableRow { loaded.unreadable.append(UnreadableOrder($0)) }
    }
    for head in heads {
      do {
        loaded.orders.append(
          head.order(
            try parts(head.paymentCount, head),
            try parts(head.refundCount, head),
            try parts(head.caseCount, head)))
      } catch let part as UnreadableRow { loaded.unreadable.append(UnreadableOrder(head, part.table)) }
    }
    return (count, last)
  }

  private mutating func loadStrays(of id: OrderID) throws {
    try database.cachedStatement(sql: TableSQL.of(.cases).select).run([id.text]) { row in
      // One that cannot be read is left as it is, and holds nobody else up.
      do { loaded.strays.append(try Case(row, of: id)) } catch is UnreadableRow {}
    }
  }

  private func parts<Part: PartRow>(_ count: Int, _ head: Order.Head) throws -> [Part] {
    guard count > 0 else { return [] }
    var parts: [Part] = []
    try database.cachedStatement(sql: TableSQL.of(Part.table).select).run([head.idText]) {
      parts.append(try Part($0, of: head.id))
    }
    guard parts.count == count else { throw UnreadableRow(table: "\(Part.table)") }
    return parts
  }
}
