import OrderRows
import PaymentCore
import PaymentEngine

/// Puts orders together from the rows of their tables.
struct OrderParts {
  /// The tables of the parts, in the order in which their results are read.
  static let tables: [OrderTable] = [.payments, .refunds, .cases]

  private var heads: [Order.Head] = []
  private var seen: Set<OrderID> = []
  private var payments: [OrderID: [Payment]] = [:]
  private var refunds: [OrderID: [Refund]] = [:]
  private var cases: [OrderID: [Case]] = [:]
  private var unreadable: [UnreadableOrder] = []

  /// - Parameters:
  ///   - heads: results with orders' own rows. An order that is in several counts once.
  ///   - parts: one result for each of `tables`, or none.
  mutating func read(heads: ArraySlice<PostgresResult>, parts: ArraySlice<PostgresResult>) {
    for row in heads.lazy.flatMap(\.rows) {
      do {
        let head = try Order.head(row)
        if seen.insert(head.id).inserted { self.heads.append(head) }
      } catch { unreadable.append(UnreadableOrder(row)) }
    }
    guard parts.count == Self.tables.count else { return }
    let first = parts.startIndex
    Self.read(parts[first], &payments)
    Self.read(parts[first + 1], &refunds)
    Self.read(parts[first + 2], &cases)
  }

  /// Leaves out what cannot be read: then there are fewer than there should be.
  private static func read<Part: PartRow>(_ result: PostgresResult, _ parts: inout [OrderID: [Part]]) {
    for row in result.rows {
      guard let text = row.text(at: 0), let id = OrderID(text: text), let part = try? Part(row, of: id) else {
        continue
      }
      parts[id, default: []].append(part)
    }
  }

  /// The orders whose parts were not asked for yet, and that have some.
  func missing(besides ids: Set<OrderID>) -> [OrderID] {
    heads.filter { !ids.contains($0.id) && $0.paymentCount + $0.refundCount + $0.caseCount > 0 }.map(\.id)
  }

  var loaded: Loaded {
    var loaded = Loaded()
    loaded.unreadable = unreadable
    let known = seen.union(unreadable.compactMap { OrderID(text: $0.id) })
    loaded.strays = cases.filter { !known.contains($0.key) }.sorted { $0.key < $1.key }.flatMap(\.value)
    for head in heads {
      let (payments, refunds, cases) = (payments[head.id] ?? [], refunds[head.id] ?? [], cases[head.id] ?? [])
      let differs = [
        payments.count != head.paymentCount, refunds.count != head.refundCount, cases.count != head.caseCount,
      ]
      if let index = differs.firstIndex(of: true) {
        loaded.unreadable.append(UnreadableOrder(head, "\(Self.tables[index])"))
      } else {
        loaded.orders.append(head.order(payments, refunds, cases))
      }
    }
    return loaded
  }
}
