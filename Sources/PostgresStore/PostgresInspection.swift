import PaymentCore
package import PaymentEngine

/// What a server says about itself, for `payonce doctor`.
package struct PostgresInspection: Sendable {
  /// Its settings by name, as it writes them; without those that it does not have.
  package let settings: [String: String]
  /// How long the first connection with its acknowledged write took.
  package let opening: Duration
  /// How far its clock is ahead of this machine's.
  package let clockLead: Duration
  /// How many clients are connected; `nil` when the server does not tell.
  package let connections: Int?
  /// How many keys are valid.
  package let keys: Int
  /// How many standbys a commit can wait for at the moment; `nil` when the server does not tell this user.
  package let synchronousStandbys: Int?

  /// What a failure says where the tables were not made yet.
  package static let noSchema = "42P01"

  package static let settings = [
    "server_version", "fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names", "max_connections",
  ]

  /// - Throws: `Fault.unavailable` when nothing can be written there.
  package init(_ address: PostgresAddress, id: String, clock: any Clock) throws(Fault) {
    do throws(PostgresFailure) {
      let start = clock.uptime()
      let connection = try PostgresSession(address, id: id, clock: clock).connection
      opening = clock.uptime() - start
      func ask(_ sql: String) throws(PostgresFailure) -> PostgresRow? {
        try connection.run([PostgresCall(PostgresStatement(name: nil, sql: sql))], within: PostgresSession.limit)[0]
          .rows.first
      }
      let columns = Self.settings.map { "current_setting('\($0)', true)" }.joined(separator: ", ")
      let row = try ask("SELECT \(columns)")
      var settings: [String: String] = [:]
      for (index, name) in Self.settings.enumerated() { settings[name] = row?.text(at: index) }
      self.settings = settings
      defer { _ = try? ask("DELETE FROM sessions WHERE id = '\(id)'") }
      keys = Int(try ask("SELECT count(*) FROM keys WHERE revoked_at IS NULL")?.integer(at: 0) ?? 0)
      let before = clock.now()
      let theirs = try ask("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)")?.integer(at: 0) ?? 0
      clockLead = .milliseconds(theirs - (before.milliseconds + clock.now().milliseconds) / 2)
      // Engines that only speak the protocol may not have these.
      connections = (try? ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))?
        .integer(at: 0).map { Int($0) }
      // Who may not see other users' connections is told that they are there, but not what they are.
      let standbys = try? ask(
        "SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum', 'potential')), count(*) FILTER (WHERE sync_state IS NULL) "
          + "FROM pg_stat_replication")
      synchronousStandbys = standbys?.integer(at: 1) == 0 ? standbys?.integer(at: 0).map { Int($0) } : nil
    } catch { throw error.fault }
  }
}
