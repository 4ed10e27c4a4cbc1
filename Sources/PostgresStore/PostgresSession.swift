import PaymentCore
import PaymentEngine

/// A connection whose first write was acknowledged, and so everything that it sees.
struct PostgresSession {
  let connection: PostgresConnection
  /// The number of the last batch that it wrote.
  let batch: Int64
  let fence: Int64

  /// How long one round trip may take. Longer than the server waits for a lock, shorter than a lease.
  static let limit: Duration = .seconds(8)

  /// - Parameter id: unique among all that connect; the same for one that connects again.
  init(_ address: PostgresAddress, id: String, clock: any Clock) throws(PostgresFailure) {
    let host = address.firstHost
    let results: [PostgresResult]
    do throws(PostgresFailure) {
      connection = try PostgresConnection(address.parameters(first: host), clock: clock)
      results = try connection.run(
        [PostgresCall(PostgresSQL.open, [id, "\(clock.now().milliseconds)"])], within: Self.limit)
    } catch {
      address.avoid(host)
      throw error
    }
    guard let row = results.first?.rows.first, let batch = row.integer(at: 0), let fence = row.integer(at: 1) else {
      throw .lost("a session has no row")
    }
    guard row.text(at: 2) != "off" else {
      throw .lost("synchronous_commit is off, so that payments could be lost: set it to on")
    }
    self.batch = batch
    self.fence = fence
  }
}
