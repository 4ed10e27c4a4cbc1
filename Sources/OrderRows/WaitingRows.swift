import PaymentCore
package import PaymentEngine

extension Waiting {
  /// The rows of a kind, the oldest first: which order, the number within it, whose, and since when. Each is found by an
  /// index that knows only such rows.
  package static func select(_ kind: Kind, limit: Int) -> String {
    let order = "LEFT JOIN orders o ON o.id = t.order_id LEFT JOIN merchants m ON m.id = o.merchant"
    switch kind {
    case .unknownPayment, .unknownRefund:
      let provider =
        kind == .unknownPayment
        ? "t.provider" : "(SELECT p.provider FROM payments p WHERE p.order_id = t.order_id AND p.ordinal = t.payment)"
      return """
        SELECT t.order_id, t.ordinal, m.name, o.reference, \(provider), NULL, NULL, t.unknown_since
        FROM \(kind == .unknownPayment ? "payments" : "refunds") t \(order)
        WHERE t.unknown_since IS NOT NULL ORDER BY t.unknown_since LIMIT \(limit)
        """
    case .openCase:
      return """
        SELECT t.order_id, t.ordinal, m.name, o.reference, t.provider, t.reason, t.note, t.opened_at
        FROM cases t \(order) WHERE t.resolved_at IS NULL ORDER BY t.opened_at LIMIT \(limit)
        """
    case .closingOrder:
      return """
        SELECT o.id, 0, m.name, o.reference,
          (SELECT p.provider FROM payments p
            WHERE p.order_id = o.id AND p.status IN ('processing', 'requires_action')), NULL, NULL,
          coalesce((SELECT max(e.at) FROM events e WHERE e.order_id = o.id AND e.type = 'order.closing'), o.updated_at)
        FROM orders o LEFT JOIN merchants m ON m.id = o.merchant
        WHERE o.status = 'closing' ORDER BY o.id LIMIT \(limit)
        """
    }
  }

  package init(_ kind: Kind, _ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: kind.rawValue)
    let order = try columns.must(OrderID(text: try columns.next()))
    let ordinal: Int = try columns.next()
    let id =
      switch kind {
      case .unknownPayment: PaymentID(order: order, ordinal: ordinal).text
      case .unknownRefund: RefundID(order: order, ordinal: ordinal).text
      case .openCase: CaseID(order: order, ordinal: ordinal).text
      case .closingOrder: order.text
      }
    self.init(
      kind: kind, order: order, id: id, merchant: try columns.optional(), reference: try columns.optional(),
      provider: try columns.optional().map { ProviderName($0) }, reason: try columns.optional(),
      note: try columns.optional(), since: try columns.instant())
  }
}
