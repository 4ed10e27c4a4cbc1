import OrderRows
package import PaymentCore
package import PaymentEngine

/// Merchants and keys. Written rarely, by the command line as well as by a running server.
package struct PostgresDirectory: Directory {
  private let readers: PostgresReaders

  package init(_ readers: PostgresReaders) { self.readers = readers }

  package func storeID() async throws(Fault) -> String {
    guard let id = try await first("SELECT store FROM identity", []) ?? nil else {
      throw .unavailable("the store has no identity")
    }
    return id
  }

  package func setDisplayName(_ name: String?, of merchant: MerchantID) async throws(Fault) {
    _ = try await first("UPDATE merchants SET display_name = $1 WHERE id = $2 RETURNING id", [name, merchant.text])
  }

  package func mark(of merchant: MerchantID) async throws(Fault) -> Mark? {
    try await read("SELECT mark FROM merchants WHERE id = $1", [merchant.text]) {
      try $0.rows.first.flatMap { try Mark($0) }
    }
  }

  package func setMark(_ mark: Mark?, of merchant: MerchantID) async throws(Fault) {
    let bytes = mark.map { PostgresSQL.bytes($0.bytes) }
    _ = try await first("UPDATE merchants SET mark = $1::bytea WHERE id = $2 RETURNING id", [bytes, merchant.text])
  }

  package func key(_ id: String) async throws(Fault) -> StoredKey? { try await keys("WHERE k.id = $1", [id]).first }

  package func keys() async throws(Fault) -> [StoredKey] { try await keys("ORDER BY k.created_at, k.id", []) }

  private func keys(_ condition: String, _ arguments: [String]) async throws(Fault) -> [StoredKey] {
    try await read("\(StoredKey.select) \(condition)", arguments) { try $0.rows.map { try StoredKey($0) } }
  }

  private func read<Value: Sendable>(
    _ sql: String, _ arguments: [String], _ parse: @escaping @Sendable (PostgresResult) throws -> Value
  ) async throws(Fault) -> Value {
    try await readers.read([PostgresCall(sql: sql, arguments)]) { try parse($0[0]) }
  }

  package func merchant(named name: String, id: MerchantID) async throws(Fault) -> MerchantID {
    let stored = try await first(
      """
      INSERT INTO merchants (id, name, created_at) VALUES ($1, $2, 0)
      ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id
      """, [id.text, name])
    return (stored ?? nil).map { MerchantID($0) } ?? id
  }

  package func merchant(_ id: MerchantID) async throws(Fault) -> Merchant? {
    try await merchants("WHERE m.id = $1", [id.text]).first
  }

  package func merchants() async throws(Fault) -> [Merchant] { try await merchants("", []) }

  private func merchants(_ condition: String, _ arguments: [String]) async throws(Fault) -> [Merchant] {
    try await read(MerchantRows.select(condition), arguments) { result in
      var rows = MerchantRows()
      for row in result.rows { try rows.add(row) }
      return rows.merchants
    }
  }

  package func setOrigin(_ origin: String, of merchant: MerchantID, allowed: Bool) async throws(Fault) {
    _ = try await first(
      allowed
        ? "INSERT INTO origins (merchant, origin) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING origin"
        : "DELETE FROM origins WHERE merchant = $1 AND origin = $2 RETURNING origin", [merchant.text, origin])
  }

  package func add(_ key: StoredKey) async throws(Fault) {
    var merchant: String?
    var operatorName: String?
    switch key.holder {
    case .merchant(let id, _): merchant = id.text
    case .operator(let name): operatorName = name
    }
    let added = try await first(
      """
      INSERT INTO keys (id, hash, merchant, operator, created_at, revoked_at)
      VALUES ($1, $2::bytea, $3, $4, $5::bigint, $6::bigint) ON CONFLICT (id) DO UPDATE
      SET hash = excluded.hash WHERE keys.hash = excluded.hash RETURNING id
      """,
      [
        key.id, PostgresSQL.bytes(key.hash), merchant, operatorName, "\(key.createdAt.milliseconds)",
        key.revokedAt.map { "\($0.milliseconds)" },
      ])
    guard added != nil else { throw .conflict }
  }

  package func revoke(_ id: String, at now: Instant) async throws(Fault) -> Bool {
    let revokedAt = try await first(
      "UPDATE keys SET revoked_at = coalesce(revoked_at, $1::bigint) WHERE id = $2 RETURNING revoked_at",
      ["\(now.milliseconds)", id])
    return revokedAt == "\(now.milliseconds)"
  }

  /// The first column of the first row.
  private func first(_ sql: String, _ arguments: [String?]) async throws(Fault) -> String?? {
    try await readers.use { connection throws(PostgresFailure) in
      try connection.run(
        [PostgresCall(sql: sql, arguments)], within: PostgresSession.limit
      )
      .first?.rows.first.map { $0.text(at: 0) }
    }
  }
}
