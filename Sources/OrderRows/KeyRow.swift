import PaymentCore
package import PaymentEngine

extension StoredKey {
  /// What a key is read from, by a condition that follows.
  package static let select = """
    SELECT k.id, k.hash, k.merchant, m.name, k.operator, k.created_at, k.revoked_at
    FROM keys k LEFT JOIN merchants m ON m.id = k.merchant
    """

  package init(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "keys")
    let id: String = try columns.next()
    let hash: [UInt8] = try columns.next()
    let (merchant, name, operatorName): (String?, String?, String?) =
      (try columns.optional(), try columns.optional(), try columns.optional())
    let holder: Holder? =
      if let merchant, let name { .merchant(MerchantID(merchant), name: name) } else {
        operatorName.map { .operator(name: $0) }
      }
    self.init(
      id: id, hash: hash, holder: try columns.must(holder), createdAt: try columns.instant(),
      revokedAt: try columns.optionalInstant())
  }
}
