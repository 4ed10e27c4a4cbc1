import OrderRows
import PaymentCore

/// Puts orders together from the rows of their tables.
struct OrderParts {
  /// The tables of the parts, in the order in which their results are read.
  static let tables: [OrderTable] = [.payments, .refunds, .cases]

  private var heads: [Order.Head] = []
  private var seen: Set<OrderID> = []
  private var payments: [OrderID: [Payment]] = [:]
  private var refunds: [OrderID: [Refund]] = [:]
  private var cases: [OrderID: [Case]] = [:]

  /// - Parameters:
  ///   - heads: results with orders' own rows. An order that is in several counts once.
  ///   - parts: one result for each of `tables`, or none.
  mutating func read(
    heads: ArraySlice<PostgresResult>, parts: ArraySlice<PostgresResult>
  ) throws(PostgresFailure) {
    do {
      for row in heads.lazy.flatMap(\.rows) {
        let head = try Order.head(row)
        if seen.insert(head.id).inserted { self.heads.append(head) }
      }
      guard parts.count == Self.tables.count else { return }
      let first = parts.startIndex
      try Self.read(parts[first], &payments)
      try Self.read(parts[first + 1], &refunds)
      try Self.read(parts[first + 2], &cases)
    } catch {
      throw .statement(code: PostgresFailure.unreadable, message: "\(error)")
    }
  }

  private static func read<Part: PartRow>(_ result: PostgresResult, _ parts: inout [OrderID: [Part]]) throws {
    for row in result.rows {
      guard let text = row.text(at: 0), let id = OrderID(text: text) else {
        throw UnreadableRow(table: "\(Part.table)")
      }
      parts[id, default: []].append(try Part(row, of: id))
    }
  }

  /// The orders whose parts were not asked for yet, and that have some.
  func missing(besides ids: Set<OrderID>) -> [OrderID] {
    heads.filter { !ids.contains($0.id) && $0.paymentCount + $0.refundCount + $0.caseCount > 0 }.map(\.id)
  }

  func orders() throws(PostgresFailure) -> [Order] {
    var orders: [Order] = []
    for head in heads {
      let (payments, refunds, cases) = (payments[head.id] ?? [], refunds[head.id] ?? [], cases[head.id] ?? [])
      guard (payments.count, refunds.count, cases.count) == (head.paymentCount, head.refundCount, head.caseCount)
      else { throw .statement(code: PostgresFailure.unreadable, message: "parts of \(head.idText) are missing") }
      orders.append(head.order(payments, refunds, cases))
    }
    return orders
  }
}
