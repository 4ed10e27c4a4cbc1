import FoundationEssentials
import GRDB
import OrderRows
package import PaymentCore
package import PaymentEngine

/// Merchants and keys. Written rarely, by the command line as well as by a running server.
package struct SQLiteDirectory: Directory {
  private let database: SQLiteDatabase

  package init(_ database: SQLiteDatabase) { self.database = database }

  package func storeID() async throws(Fault) -> String {
    try await database.read { database in
      guard let id = try String.fetchOne(database, sql: "SELECT store FROM identity") else {
        throw UnreadableRow(table: "identity")
      }
      return id
    }
  }

  package func setDisplayName(_ name: String?, of merchant: MerchantID) async throws(Fault) {
    try await database.write { database in
      try database.execute(
        sql: "UPDATE merchants SET display_name = ? WHERE id = ?", arguments: [name, merchant.text])
    }
  }

  package func mark(of merchant: MerchantID) async throws(Fault) -> Mark? {
    try await database.read { database in
      var mark: Mark?
      try database.cachedStatement(sql: "SELECT mark FROM merchants WHERE id = ?").run([merchant.text]) {
        mark = try Mark($0)
      }
      return mark
    }
  }

  package func setMark(_ mark: Mark?, of merchant: MerchantID) async throws(Fault) {
    try await database.write { database in
      try database.execute(
        sql: "UPDATE merchants SET mark = ? WHERE id = ?", arguments: [mark.map { Data($0.bytes) }, merchant.text])
    }
  }

  package func key(_ id: String) async throws(Fault) -> StoredKey? { try await keys("WHERE k.id = ?", [id]).first }

  package func keys() async throws(Fault) -> [StoredKey] { try await keys("ORDER BY k.created_at, k.id", []) }

  private func keys(_ condition: String, _ arguments: Arguments) async throws(Fault) -> [StoredKey] {
    try await database.read { database in
      var keys: [StoredKey] = []
      try database.cachedStatement(sql: "\(StoredKey.select) \(condition)").run(arguments) {
        keys.append(try StoredKey($0))
      }
      return keys
    }
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

  package func merchant(_ id: MerchantID) async throws(Fault) -> Merchant? {
    try await merchants("WHERE m.id = ?", [id.text]).first
  }

  package func merchants() async throws(Fault) -> [Merchant] { try await merchants("", []) }

  private func merchants(_ condition: String, _ arguments: Arguments) async throws(Fault) -> [Merchant] {
    try await database.read { database in
      var rows = MerchantRows()
      try database.cachedStatement(sql: MerchantRows.select(condition)).run(arguments) { try rows.add($0) }
      return rows.merchants
    }
  }

  package func setOrigin(_ origin: String, of merchant: MerchantID, allowed: Bool) async throws(Fault) {
    try await database.write { database in
      try database.execute(
        sql: allowed
          ? "INSERT INTO origins (merchant, origin) VALUES (?, ?) ON CONFLICT DO NOTHING"
          : "DELETE FROM origins WHERE merchant = ? AND origin = ?", arguments: [merchant.text, origin])
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
