import PaymentCore
package import PaymentEngine

/// Brings the schema up to date.
package enum PostgresMigrator {
  /// Safe to run by several nodes at once: each change is made by one of them.
  /// - Throws: `Fault.unavailable` when it cannot be done.
  package static func migrate(_ address: PostgresAddress, clock: any Clock) throws(Fault) {
    for attempt in 1...Self.attempts {
      let host = address.firstHost
      do throws(PostgresFailure) { return try migrateOnce(address, host, clock: clock) } catch {
        let isTransient =
          switch error {
          // Another node made the same table, or changed the same row, at the same time.
          case .statement(let code, _): races.contains(code)
          // A former primary, perhaps, so each host has its turn; or a machine that stands still for a moment, which is no
          // reason not to start.
          case .unreadable, .impossible: false
          case .lost: attempt < max(Self.connections, address.hosts.count)
          }
        guard attempt < Self.attempts, isTransient else { throw error.fault }
        if case .lost = error { address.avoid(host) }
      }
    }
  }

  private static let attempts = 10
  private static let connections = 3
  private static let races = ["23505", "42P07", "42710", "40001", "40P01", "XX000", "55P03"]

  private static func migrateOnce(
    _ address: PostgresAddress, _ host: Int, clock: any Clock
  ) throws(PostgresFailure) {
    let connection = try PostgresConnection(address.parameters(first: host), clock: clock)
    func run(_ sql: [String], within limit: Duration = PostgresSession.limit) throws(PostgresFailure)
      -> [PostgresResult]
    {
      try connection.run(sql.map { PostgresCall(sql: $0) }, within: limit)
    }
    _ = try run([
      "CREATE TABLE IF NOT EXISTS schema_versions (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)",
      "INSERT INTO schema_versions (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
    ])
    let locked = try run(["BEGIN", "SELECT version FROM schema_versions WHERE id = 1 FOR UPDATE"])
    guard let version = locked[1].rows.first?.integer(at: 0) else { throw .lost("the schema has no version") }
    let migrations = PostgresSchema.migrations
    guard version <= Int64(migrations.count) else {
      throw .statement(code: "55000", message: "the database belongs to a newer version of PayOnce (schema \(version))")
    }
    let changes = migrations[Int(version)...].flatMap { $0 }
    _ = try run(
      changes + [
        "UPDATE schema_versions SET version = \(migrations.count) WHERE id = 1",
        // Of nodes that are gone. One that lives makes its own again.
        "DELETE FROM sessions WHERE at < \(clock.now().advanced(by: .seconds(-7 * 86_400)).milliseconds)",
        "COMMIT",
      ], within: .seconds(60))
  }
}
