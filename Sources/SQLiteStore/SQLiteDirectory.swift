import FoundationEssentials
import GRDB
import OrderRows
package import PaymentCore
package import PaymentEngine

/// Merchants and keys. Written rarely, by the command line as well as by a running server.
package struct SQLiteDirectory: Directory {
  private let database: SQLiteDatabase

  package init(_ database: SQLiteDatabase) { self.database = database }

  private static let columns = """
    SELECT k.id, k.hash, k.merchant, m.name, k.operator, k.created_at, k.revoked_at
    FROM keys k LEFT JOIN merchants m ON m.id = k.merchant
    """

  package func key(_ id: String) async throws(Fault) -> StoredKey? { try await keys("WHERE k.id = ?", [id]).first }

  package func keys() async throws(Fault) -> [StoredKey] { try await keys("ORDER BY k.created_at, k.id", []) }

  private func keys(_ condition: String, _ arguments: Arguments) async throws(Fault) -> [StoredKey] {
    try await database.read { database in
      var keys: [StoredKey] = []
      try database.cachedStatement(sql: "\(Self.columns) \(condition)").run(arguments) {
        keys.append(try Self.key($0))
      }
      return keys
    }
  }

  private static func key(_ row: SQLiteRow) throws -> StoredKey {
    var columns = ColumnReader(row, table: "keys")
    let id: String = try columns.next()
    let hash: [UInt8] = try columns.next()
    let (merchant, name, operatorName): (String?, String?, String?) =
      (columns.optional(), columns.optional(), columns.optional())
    let holder: StoredKey.Holder? =
      if let merchant, let name { .merchant(MerchantID(merchant), name: name) } else {
        operatorName.map { .operator(name: $0) }
      }
    return StoredKey(
      id: id, hash: hash, holder: try columns.must(holder), createdAt: try columns.instant(),
      revokedAt: columns.optionalInstant())
  }

  package func merchant(named name: String, id: MerchantID) async throws(Fault) -> MerchantID {
    try await database.write { database in
      let stored = try String.fetchOne(database, sql: "SELECT id FROM merchants WHERE name = ?", arguments: [name])
      if let stored { return MerchantID(stored) }
      try database.execute(
        sql: "INSERT INTO merchants (id, name, created_at) VALUES (?, ?, ?)", arguments: [id.text, name, 0])
      return id
    }
  }

  package func merchantName(_ id: MerchantID) async throws(Fault) -> String? {
    try await database.read { database in
      var name: String?
      try database.cachedStatement(sql: "SELECT name FROM merchants WHERE id = ?").run([id.text]) {
        name = $0.text(at: 0)
      }
      return name
    }
  }

  package func add(_ key: StoredKey) async throws(Fault) {
    try await database.write { database in
      var merchant: String?
      var operatorName: String?
      switch key.holder {
      case .merchant(let id, _): merchant = id.text
      case .operator(let name): operatorName = name
      }
      try database.execute(
        sql: "INSERT INTO keys (id, hash, merchant, operator, created_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?)",
        arguments: [
          key.id, Data(key.hash), merchant, operatorName, key.createdAt.column, key.revokedAt?.column,
        ])
    }
  }

  package func revoke(_ id: String, at now: Instant) async throws(Fault) -> Bool {
    try await database.write { database in
      try database.execute(
        sql: "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", arguments: [now.column, id])
      return database.changesCount == 1
    }
  }
}
