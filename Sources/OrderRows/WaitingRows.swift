import PaymentCore
package import PaymentEngine

/// A row of what waits for somebody.
struct WaitingRow: Equatable {
  let kind: Waiting.Kind
  let since: Instant
  let order: OrderID
  /// Of the payment, refund or case; 0 where it is the order itself.
  let ordinal: Int

  var arguments: Arguments { [kind.rawValue, since.column, order, ordinal] }
}

extension Waiting {
  /// The rows of a kind, the oldest first: the order, what it is, and whose.
  package static func select(_ kind: Kind, limit: Int) -> String {
    """
    SELECT \(Columns.orders.list), waiting.since, waiting.ordinal, merchants.name
    FROM waiting JOIN orders ON orders.id = waiting.id LEFT JOIN merchants ON merchants.id = orders.merchant
    WHERE waiting.kind = '\(kind.rawValue)' ORDER BY waiting.since, waiting.id, waiting.ordinal LIMIT \(limit)
    """
  }

  /// The open cases without an order, the oldest first.
  package static func selectStrays(limit: Int) -> String {
    "SELECT \(Columns.strays.list) FROM strays WHERE is_open = 1 ORDER BY opened_at LIMIT \(limit)"
  }

  /// - Parameter row: of `select`. An order that cannot be read waits, too: what it says of itself is left out.
  package init(_ kind: Kind, _ row: some ResultRow) throws {
    let next = Columns.orders.all.count
    guard let id = OrderID(row, at: 0), let since = row.integer(at: next), let ordinal = row.integer(at: next + 1),
      kind == .closingOrder || (1...Int64(CaseID.maximum)).contains(ordinal)
    else { throw UnreadableRow(table: "waiting") }
    let order = try? Order(row)
    let text: String
    var provider: ProviderName?
    var item: Case?
    switch kind {
    case .unknownPayment:
      let payment = PaymentID(order: id, ordinal: Int(ordinal))
      (text, provider) = (payment.text, order?.payment(payment)?.provider)
    case .unknownRefund:
      let refund = RefundID(order: id, ordinal: Int(ordinal))
      text = refund.text
      provider = order.flatMap { order in order.refund(refund).flatMap { order.payment($0.payment) } }?.provider
    case .openCase:
      let caseID = CaseID(order: id, ordinal: Int(ordinal))
      item = order?.cases.first { $0.id == caseID }
      (text, provider) = (caseID.text, item?.provider)
    case .closingOrder: (text, provider) = (id.text, order?.livePayment?.provider)
    }
    self.init(
      kind: kind, order: id, id: text, merchant: row.text(at: next + 2), reference: row.text(at: 3),
      provider: provider, item: item, since: Instant(milliseconds: since))
  }

  /// - Parameter row: of `selectStrays`. A case that cannot be read waits, too: what it says of itself is left out.
  package init(stray row: some ResultRow) throws {
    let (order, ordinal, openedAt) = (OrderID(row, at: 0), row.integer(at: 1), row.integer(at: 2))
    guard let order, let openedAt, let id = ordinal.flatMap({ CaseID(order, $0) }) else {
      throw UnreadableRow(table: "strays")
    }
    let item = try? Case(row)
    self.init(
      kind: .openCase, order: order, id: id.text, merchant: nil,
      reference: nil, provider: item?.provider, item: item, since: Instant(milliseconds: openedAt))
  }

  /// Open cases of both kinds as one list.
  package static func oldest(_ cases: [Waiting], _ strays: [Waiting], limit: Int) -> [Waiting] {
    Array((cases + strays).sorted { ($0.since, $0.id) < ($1.since, $1.id) }.prefix(limit))
  }
}
