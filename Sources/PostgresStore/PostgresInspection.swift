import PaymentCore
package import PaymentEngine

/// What a server says about itself, for `payonce doctor`.
package struct PostgresInspection: Sendable {
  /// Its settings by name, as it writes them; without those that it does not have.
  package let settings: [String: String]
  /// How long a write took until it was acknowledged, or why it was not.
  package let writing: Result<Duration, Fault>
  /// How far its clock is ahead of this machine's.
  package let clockLead: Duration
  /// How many clients are connected; `nil` when the server does not tell.
  package let connections: Int?
  /// How many keys are valid; `nil` where there are no tables yet.
  package let keys: Int?
  /// How many standbys a commit can wait for at the moment; `nil` when the server does not tell this user.
  package let synchronousStandbys: Int?

  package static let settings = [
    "server_version", "fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names", "max_connections",
  ]

  /// - Throws: `Fault.unavailable` when no primary can be reached.
  package init(_ address: PostgresAddress, id: String, clock: any Clock) throws(Fault) {
    do throws(PostgresFailure) {
      let connection = try PostgresConnection(address.parameters(first: address.firstHost), clock: clock)
      func ask(_ sql: String) throws(PostgresFailure) -> PostgresRow? {
        try connection.run([PostgresCall(sql: sql)], within: PostgresSession.limit)[0].rows.first
      }
      let columns = Self.settings.map { "current_setting('\($0)', true)" }.joined(separator: ", ")
      let row = try ask("SELECT \(columns)")
      var settings: [String: String] = [:]
      for (index, name) in Self.settings.enumerated() { settings[name] = row?.text(at: index) }
      self.settings = settings
      keys = (try? ask("SELECT count(*) FROM keys WHERE revoked_at IS NULL"))?.integer(at: 0).map { Int($0) }
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
      // Last, since it may wait for standbys in vain.
      guard keys != nil else {
        writing = .success(.zero)
        return
      }
      let start = clock.uptime()
      writing = Self.attempt { () throws(PostgresFailure) in
        _ = try connection.run(
          [PostgresCall(PostgresSQL.open, [id, "\(before.milliseconds)"])], within: PostgresSession.limit)
        return clock.uptime() - start
      }
      _ = try? ask("DELETE FROM sessions WHERE id = '\(id)'")
    } catch { throw error.fault }
  }

  private static func attempt(_ work: () throws(PostgresFailure) -> Duration) -> Result<Duration, Fault> {
    do throws(PostgresFailure) { return .success(try work()) } catch { return .failure(error.fault) }
  }
}
