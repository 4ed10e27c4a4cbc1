import Foundation
import GRDBSQLite
import OrderRows
import PaymentCore
import PaymentEngine
import SQLiteStore

/// Measures what SQLite itself can do with the rows of a payment. It writes with the statements and values of the
/// store, in batches, by the C interface, on one thread that does nothing else.
struct RawCeiling {
  private struct Payment {
    let order: OrderID
    let start: [RowWrite]
    let outcome: [RowWrite]
  }
  private let store: BenchStore

  init(_ store: BenchStore) { self.store = store }

  /// - Parameter batch: how many transactions of payments share a commit, as so many callers would cause it: half of
  ///   them start a payment, the others store an outcome.
  func measure(payments count: Int, batch: Int) async throws -> Rate {
    let payments = try await store.register(count).map(Self.payment)
    var connection: OpaquePointer?
    guard sqlite3_open(store.path, &connection) == SQLITE_OK, let connection else { throw SetupError("no connection") }
    defer { sqlite3_close(connection) }
    for pragma in ["synchronous = FULL", "foreign_keys = ON", "wal_autocheckpoint = 4000", "cache_size = -16384"] {
      sqlite3_exec(connection, "PRAGMA \(pragma)", nil, nil, nil)
    }
    let statements = Statements(connection)
    defer { statements.finalize() }
    let start = ContinuousClock.now
    var position = 0
    var waiting: ArraySlice<Payment> = []
    while position < payments.count || !waiting.isEmpty {
      let room = batch > 1 ? batch / 2 : waiting.isEmpty ? 1 : 0
      let starting = payments[position..<min(position + room, payments.count)]
      position += starting.count
      try statements.run("BEGIN IMMEDIATE")
      for payment in waiting {
        try statements.load(payment.order)
        for write in payment.outcome { try statements.run(write.sql, write.arguments) }
      }
      for payment in starting {
        try statements.load(payment.order)
        for write in payment.start { try statements.run(write.sql, write.arguments) }
      }
      try statements.run("COMMIT")
      // Of the callers of a full batch half wait for an outcome, and the others come to pay.
      waiting = starting
    }
    return Rate(count: count, in: ContinuousClock.now - start)
  }

  /// The statements that write a payment.
  private static func payment(_ order: Order) throws -> Payment {
    let rules = InstantProvider.rules
    let now = SystemClock().now()
    func change(_ before: Order, _ command: Command) throws -> (order: Order, changes: Changeset) {
      let decision = decide(before, command, by: .payOnce, now: now, rules: rules)
      guard var after = decision.order else { throw SetupError("a decision without an order") }
      _ = after.takeCalls(now, rules: rules)
      var changes = Changeset()
      changes.orders = [.init(before: before, after: after)]
      changes.events = decision.events.map { (after, $0) }
      return (after, changes)
    }
    let (paying, started) = try change(
      order, .pay(order.id, key: BenchStore.newKey(), provider: InstantProvider.name, method: nil))
    let evidence = PaymentEvidence(
      payment: PaymentID(order: order.id, ordinal: 1), provider: InstantProvider.name, call: 1,
      verdict: .succeeded(order.registration.amount))
    let (paid, ended) = try change(paying, .evidence(.payment(evidence)))
    guard paid.status == .paid else { throw SetupError("the order is not paid") }
    return Payment(order: order.id, start: try started.writes(), outcome: try ended.writes())
  }

  /// Statements that are prepared once and used again.
  private final class Statements {
    private let connection: OpaquePointer
    private var prepared: [String: OpaquePointer] = [:]

    init(_ connection: OpaquePointer) { self.connection = connection }

    func finalize() { for statement in prepared.values { sqlite3_finalize(statement) } }

    /// Reads an order, as every transaction has to.
    func load(_ order: OrderID) throws {
      try run("SELECT \(Columns.orders.list) FROM orders WHERE id = ?", [order])
    }

    func run(_ sql: String, _ arguments: Arguments = []) throws {
      let statement = try statement(sql)
      var result = arguments.bind(to: statement)
      if result == SQLITE_OK { result = sqlite3_step(statement) }
      while result == SQLITE_ROW { result = sqlite3_step(statement) }
      guard result == SQLITE_DONE else { throw SetupError(String(cString: sqlite3_errmsg(connection))) }
      sqlite3_reset(statement)
    }

    private func statement(_ sql: String) throws -> OpaquePointer {
      if let statement = prepared[sql] { return statement }
      var statement: OpaquePointer?
      guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK, let statement else {
        throw SetupError(String(cString: sqlite3_errmsg(connection)))
      }
      prepared[sql] = statement
      return statement
    }
  }
}
