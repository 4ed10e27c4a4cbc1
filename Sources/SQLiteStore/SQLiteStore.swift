import GRDB
package import PaymentCore
package import PaymentEngine

/// The writing side, for the one lane that a file has.
package struct SQLiteStore: Store {
  private let pool: DatabasePool

  package init(_ database: SQLiteDatabase) { pool = database.pool }

  package func load(_ scopes: [Scope]) throws(Fault) -> [Order] {
    try faulting {
      try pool.writeWithoutTransaction { database in
        try database.cachedStatement(sql: "BEGIN IMMEDIATE").execute()
        do {
          var loader = OrderLoader(database)
          for scope in scopes { try loader.load(scope) }
          return loader.orders
        } catch {
          try? database.rollback()
          throw error
        }
      }
    }
  }

  package func save(_ changes: Changeset) throws(Fault) {
    try faulting {
      try pool.writeWithoutTransaction { database in
        do { try write(changes, database) } catch {
          try? database.rollback()
          throw error
        }
        do { try database.cachedStatement(sql: "COMMIT").execute() } catch let error as DatabaseError {
          try? database.rollback()
          // The log was written and could not be synced: after a crash it may count, or not.
          throw error.resultCode == .SQLITE_IOERR ? Fault.unknownCommit : error
        }
      }
    }
  }

  private func write(_ changes: Changeset, _ database: Database) throws {
    try changes.rows { sql, arguments in
      try database.cachedStatement(sql: sql).run(arguments)
      // Somebody else than PayOnce took the row away.
      guard database.changesCount == 1 else { throw Fault.conflict }
    }
    if let probe = changes.probe {
      let sql = "INSERT INTO probes (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at"
      try database.cachedStatement(sql: sql).run([probe.column])
    }
    for stray in changes.strays {
      try database.cachedStatement(sql: Columns.cases.insert + " ON CONFLICT DO NOTHING")
        .run(stray.fixedArguments + stray.changingArguments)
    }
  }
}

extension Changeset {
  /// Hands over the rows that differ, each as a statement with its arguments. Payments that ended come before those
  /// that began, as the guards want it.
  func rows(_ write: (_ sql: String, _ arguments: Arguments) throws -> Void) rethrows {
    for change in orders {
      let (before, after) = (change.before, change.after)
      if before == nil {
        try write(Columns.orders.insert, after.fixedArguments + after.changingArguments)
      } else {
        try write(Columns.orders.update, after.changingArguments + [after.id.text])
      }
      try parts(.payments, before?.payments, after.payments, after.id, write)
      try parts(.refunds, before?.refunds, after.refunds, after.id, write)
      try parts(.cases, before?.cases, after.cases, after.id, write)
    }
    for (order, event) in events { try write(Columns.insertEvent, event.arguments(of: order)) }
  }

  private func parts<Part: OrderRow>(
    _ columns: Columns, _ before: [Part]?, _ after: [Part], _ order: OrderID,
    _ write: (String, Arguments) throws -> Void
  ) rethrows {
    for (index, part) in after.enumerated() {
      if let before, index < before.count {
        guard before[index] != part else { continue }
        try write(columns.update, part.changingArguments + [order.text, index + 1])
      } else {
        try write(columns.insert, part.fixedArguments + part.changingArguments)
      }
    }
  }

  /// What `save` would run for this, for a measurement of what SQLite itself can do: each statement, with a function
  /// that binds its values.
  package var statements: [(sql: String, bind: (_ statement: OpaquePointer) -> Int32)] {
    var statements: [(sql: String, bind: (_ statement: OpaquePointer) -> Int32)] = []
    rows { sql, arguments in statements.append((sql, { arguments.bind(to: $0) })) }
    return statements
  }
}

/// A part of an order with a row of its own, found by the order and the part's ordinal.
protocol OrderRow: Equatable {
  var fixedArguments: Arguments { get }
  var changingArguments: Arguments { get }
}

extension Payment: OrderRow {}
extension Refund: OrderRow {}
extension Case: OrderRow {}

/// Reads whole orders, each once.
struct OrderLoader {
  private let database: Database
  private var seen: Set<OrderID> = []
  private(set) var orders: [Order] = []

  init(_ database: Database) { self.database = database }

  mutating func load(_ scope: Scope) throws {
    switch scope {
    case .order(let id):
      if !seen.contains(id) { try load("WHERE id = ?", [id.text]) }
    case .reference(let merchant, let reference):
      try load("WHERE merchant = ? AND reference = ?", [merchant.text, reference])
    case .due(let now, let limit):
      try load("WHERE wake_at <= ? ORDER BY wake_at LIMIT ?", [now.column, limit])
    }
  }

  /// - Parameter condition: one of a few fixed texts, so that its statement stays prepared.
  mutating func load(_ condition: String, _ arguments: Arguments) throws {
    var heads: [Order.Head] = []
    try database.cachedStatement(sql: "SELECT \(Columns.orders.list) FROM orders \(condition)").run(arguments) {
      let head = try Order.head($0)
      if seen.insert(head.id).inserted { heads.append(head) }
    }
    for head in heads {
      orders.append(
        head.order(
          try parts(.payments, head.paymentCount, head, Payment.init),
          try parts(.refunds, head.refundCount, head, Refund.init),
          try parts(.cases, head.caseCount, head, Case.init)))
    }
  }

  private func parts<Part>(
    _ columns: Columns, _ count: Int, _ head: Order.Head, _ read: (SQLiteStatement, OrderID) throws -> Part
  ) throws -> [Part] {
    guard count > 0 else { return [] }
    var parts: [Part] = []
    try database.cachedStatement(sql: columns.select).run([head.idText]) { parts.append(try read($0, head.id)) }
    guard parts.count == count else { throw UnreadableRow(table: columns.table) }
    return parts
  }
}
