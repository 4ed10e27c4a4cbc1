import PaymentCore
package import PaymentEngine

extension Mark {
  /// A row of the one column; `nil` where there is none.
  package init?(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "merchants")
    guard let bytes: [UInt8] = try columns.optional() else { return nil }
    self = try columns.must(Mark(bytes))
  }
}

/// Merchants as they come, a row for each of their origins.
package struct MerchantRows {
  package private(set) var merchants: [Merchant] = []

  package init() {}

  /// What they are read from. The condition says of which merchants.
  package static func select(_ condition: String) -> String {
    """
    SELECT m.id, m.name, m.display_name, CASE WHEN m.mark IS NULL THEN 0 ELSE 1 END, o.origin
    FROM merchants m LEFT JOIN origins o ON o.merchant = m.id \(condition) ORDER BY m.name, o.origin
    """
  }

  package mutating func add(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "merchants")
    let id = MerchantID(try columns.next() as String)
    let name: String = try columns.next()
    let displayName: String? = try columns.optional()
    let hasMark = try columns.next() as Int == 1
    let origin: [String] = try columns.optional().map { [$0] } ?? []
    let known = merchants.last?.id == id ? merchants.removeLast().origins : []
    merchants.append(Merchant(id: id, name: name, displayName: displayName, hasMark: hasMark, origins: known + origin))
  }
}
