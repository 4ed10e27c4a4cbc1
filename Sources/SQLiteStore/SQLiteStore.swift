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
          for change in loader.staleWakes.flatMap({ $0.changes(for: $0.order) }) { try run(RowWrite(change), database) }
          for write in try decided.changes.writes() { try run(write, database) }
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

  private func run(_ write: RowWrite, _ database: Database) throws {
    try database.cachedStatement(sql: write.sql).run(write.arguments)
    // Somebody else than PayOnce changed the row or took it away.
    if write.mustFind, database.changesCount != 1 { throw write.order.map { .contested([$0]) } ?? Fault.conflict }
  }
}

/// A statement that changes one row.
package struct RowWrite {
  /// One of a few fixed texts, so that its statement stays prepared.
  package let sql: String
  package let arguments: Arguments
  /// Whether the row has to be there.
  package var mustFind = false
  /// The order of the row, if it is one of these.
  var order: OrderID?
}

extension RowWrite {
  init(_ change: RowChange) {
    switch change {
    case .insert(let table, let arguments): self.init(sql: TableSQL.of(table).insert, arguments: arguments)
    case .delete(let table, let arguments): self.init(sql: TableSQL.of(table).delete, arguments: arguments)
    case .update(let table, let arguments):
      let order = table == .orders ? arguments.compactMap { $0 as? OrderID }.first : nil
      self.init(sql: TableSQL.of(table).update, arguments: arguments, mustFind: true, order: order)
    case .feed(let merchant, _, let row):
      self.init(sql: Self.insertFeed, arguments: [merchant.text, row.count, row.encoded])
    }
  }

  /// The next place in the merchant's feed is found by the insert itself: there is one writer.
  private static let insertFeed = """
    INSERT INTO feed (merchant, position, spans)
    VALUES (?1, ?2 + (SELECT coalesce(max(position), 0) FROM feed WHERE merchant = ?1), ?3)
    """
}

extension Changeset {
  /// What writing it runs, in this sequence.
  /// - Throws: `ImpossibleOrder`.
  package func writes() throws -> [RowWrite] {
    var writes: [RowWrite] = []
    try rows { writes.append(RowWrite($0)) }
    for stray in newStrays { writes.append(RowWrite(sql: Self.insertNewStray, arguments: stray)) }
    if let probe { writes.append(RowWrite(sql: Self.writeProbe, arguments: [probe.column])) }
    return writes
  }

  private static let insertNewStray = TableSQL.of(.strays).insert + " ON CONFLICT DO NOTHING"
  private static let writeProbe =
    "INSERT INTO probes (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at"
}

/// The statements of a table.
private struct TableSQL {
  let insert: String
  let update: String
  let delete: String

  private init(_ columns: Columns) {
    func list(_ columns: [Columns.Name], _ separator: String, _ text: (String) -> String) -> String {
      columns.map { text($0.text) }.joined(separator: separator)
    }
    let name = columns.table.name
    let places = columns.all.map { _ in "?" }.joined(separator: ", ")
    let insert = "INSERT INTO \(name) (\(list(columns.all, ", ") { $0 })) VALUES (\(places))"
    self.insert = insert + (columns.table.isNarrow ? " ON CONFLICT DO NOTHING" : "")
    update =
      "UPDATE \(name) SET \(list(columns.changing, ", ") { "\($0) = ?" }) "
      + "WHERE \(list(columns.key, " AND ") { "\($0) = ?" })"
    delete = "DELETE FROM \(name) WHERE \(list(columns.all, " AND ") { "\($0) = ?" })"
  }

  static func of(_ table: OrderTable) -> TableSQL { all[table.rawValue] }

  private static let all = OrderTable.allCases.map { TableSQL(.of($0)) }
}

/// Reads whole orders, each once.
struct OrderLoader {
  private let database: Database
  private var seen: Set<OrderID> = []
  private(set) var loaded = Loaded()
  /// Beside the orders that are due.
  private(set) var staleWakes: [StaleWake] = []

  init(_ database: Database) { self.database = database }

  mutating func load(_ scope: Scope) throws {
    switch scope {
    case .order(let id):
      if !seen.contains(id), try load("FROM orders WHERE id = ?", [id]) == 0 { try loadRemains(of: .id(id)) }
    case .number(let number):
      if try load("FROM orders WHERE number = ?", [number]) == 0 { try loadRemains(of: .number(number)) }
    case .due(let now, let place, let limit, _):
      // A file has one lane, which is for all orders.
      let place = place ?? .start
      var last: WakePlace?
      var stale: [StaleWake] = []
      // SQLite joins in this order, and so stops at the limit.
      let found = try load(
        """
        , wakes.at FROM wakes CROSS JOIN orders ON orders.id = wakes.id
        WHERE wakes.at <= ? AND (wakes.at, wakes.id) > (?, ?) ORDER BY wakes.at, wakes.id LIMIT ?
        """, [now.column, place.at, place.id, limit]
      ) { row, order in
        last = WakePlace(row)
        if let last, let order, let wake = StaleWake(last, of: order) { stale.append(wake) }
      }
      staleWakes += stale
      if found == limit { loaded.dueEnd = last }
    }
  }

  /// - Parameters:
  ///   - source: what follows the columns of the orders, one of a few fixed texts, so that its statement stays prepared.
  ///   - see: is shown every row, and its order if that can be read.
  /// - Returns: how many rows there were.
  @discardableResult
  mutating func load(
    _ source: String, _ arguments: Arguments, see: (SQLiteRow, Order?) -> Void = { _, _ in }
  ) throws -> Int {
    var count = 0
    try database.cachedStatement(sql: "SELECT \(Columns.orders.list) \(source)").run(arguments) { row in
      count += 1
      do {
        let order = try Order(row)
        see(row, order)
        if seen.insert(order.id).inserted { loaded.orders.append(order) }
      } catch let error as UnreadableRow {
        see(row, nil)
        loaded.unreadable.append(UnreadableOrder(row, error.table))
      }
    }
    return count
  }

  /// What there is of an order that is not stored.
  private mutating func loadRemains(of name: OrderName) throws {
    let archived = try database.archivedOrder(name.column)
    loaded.archived[name] = archived
    let id = archived?.id ?? name.idOfStrays
    let sql = "SELECT \(Columns.strays.list) FROM strays WHERE id = ? ORDER BY ordinal"
    try database.cachedStatement(sql: sql).run([id]) { row in
      // One that cannot be read is left as it is, and holds nobody else up.
      do { loaded.strays.append(try Case(row)) } catch is UnreadableRow {}
    }
  }
}
