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
    for change in changes.orders { try write(change, database) }
    if !changes.events.isEmpty {
      let statement = try database.cachedStatement(sql: Columns.events.insert)
      for (order, event) in changes.events {
        try statement.execute(arguments: StatementArguments(event.arguments(of: order)))
      }
    }
    for stray in changes.strays {
      try database.cachedStatement(sql: Columns.cases.insert + " ON CONFLICT DO NOTHING")
        .execute(arguments: StatementArguments(stray.fixedArguments + stray.changingArguments))
    }
  }

  /// Writes the rows that differ. Payments that ended come before those that began, as the guards want it.
  private func write(_ change: Changeset.Change, _ database: Database) throws {
    let (before, after) = (change.before, change.after)
    if before == nil {
      try insert(.orders, after.fixedArguments + after.changingArguments, database)
    } else {
      try update(.orders, after.changingArguments + [after.id.text], database)
    }
    for (index, payment) in after.payments.enumerated() {
      if let before, index < before.payments.count {
        guard before.payments[index] != payment else { continue }
        try update(.payments, payment.changingArguments + [after.id.text, index + 1], database)
      } else {
        try insert(.payments, payment.fixedArguments + payment.changingArguments, database)
      }
    }
    for (index, refund) in after.refunds.enumerated() {
      if let before, index < before.refunds.count {
        guard before.refunds[index] != refund else { continue }
        try update(.refunds, refund.changingArguments + [after.id.text, index + 1], database)
      } else {
        try insert(.refunds, refund.fixedArguments + refund.changingArguments, database)
      }
    }
    for (index, item) in after.cases.enumerated() {
      if let before, index < before.cases.count {
        guard before.cases[index] != item else { continue }
        try update(.cases, item.changingArguments + [after.id.text, index + 1], database)
      } else {
        try insert(.cases, item.fixedArguments + item.changingArguments, database)
      }
    }
  }

  private func insert(_ columns: Columns, _ arguments: Arguments, _ database: Database) throws {
    try database.cachedStatement(sql: columns.insert).execute(arguments: StatementArguments(arguments))
  }

  private func update(_ columns: Columns, _ arguments: Arguments, _ database: Database) throws {
    try database.cachedStatement(sql: columns.update).execute(arguments: StatementArguments(arguments))
    guard database.changesCount == 1 else { throw UnreadableRow(table: columns.table) }
  }
}

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
  mutating func load(_ condition: String, _ arguments: StatementArguments) throws {
    let statement = try database.cachedStatement(sql: "SELECT \(Columns.orders.list) FROM orders \(condition)")
    let heads = try Row.fetchCursor(statement, arguments: arguments).map(Order.head)
    for head in try Array(heads) where seen.insert(head.id).inserted {
      orders.append(
        head.order(
          try parts(.payments, head.paymentCount, head, Payment.init),
          try parts(.refunds, head.refundCount, head, Refund.init),
          try parts(.cases, head.caseCount, head, Case.init)))
    }
  }

  private func parts<Part>(
    _ columns: Columns, _ count: Int, _ head: Order.Head, _ read: (Row, OrderID) throws -> Part
  ) throws -> [Part] {
    guard count > 0 else { return [] }
    let sql = "SELECT \(columns.list) FROM \(columns.table) WHERE order_id = ? ORDER BY ordinal"
    let statement = try database.cachedStatement(sql: sql)
    var parts: [Part] = []
    let rows = try Row.fetchCursor(statement, arguments: [head.idText])
    while let row = try rows.next() { parts.append(try read(row, head.id)) }
    guard parts.count == count else { throw UnreadableRow(table: columns.table) }
    return parts
  }
}
