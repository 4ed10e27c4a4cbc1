import PaymentCore
import PaymentEngine

/// A connection whose first write was acknowledged, and so everything that it sees.
struct PostgresSession {
  let connection: PostgresConnection
  private let address: PostgresAddress
  private let host: Int
  private let id: String
  /// The number of the last batch that it wrote.
  private(set) var batch: Int64 = 0
  private(set) var fence: Int64 = 0
  /// The uptime at which the last write was sent that was acknowledged.
  private var confirmedAt: Duration = .zero

  /// How long one round trip may take. Longer than the server waits for a lock, shorter than a lease.
  static let limit: Duration = .seconds(8)
  /// For how long a write that was acknowledged speaks for what is read later. A primary that was frozen and replaced
  /// shows old orders when it thaws, but cannot write any more.
  private static let trust: Duration = .seconds(1)

  /// - Parameter id: unique among all that connect; the same for one that connects again.
  init(_ address: PostgresAddress, id: String, clock: any Clock) throws(PostgresFailure) {
    self.id = id
    self.address = address
    host = address.firstHost
    do throws(PostgresFailure) {
      connection = try PostgresConnection(address.parameters(first: host), clock: clock)
      try write(clock)
    } catch {
      address.avoid(host)
      throw error
    }
  }

  /// Sees to it that what was just read is not older than `trust`.
  mutating func confirm(_ clock: any Clock) throws(PostgresFailure) {
    guard clock.uptime() - confirmedAt > Self.trust else { return }
    do throws(PostgresFailure) { try write(clock) } catch {
      address.avoid(host)
      throw error
    }
  }

  private mutating func write(_ clock: any Clock) throws(PostgresFailure) {
    let start = clock.uptime()
    let results = try connection.run(
      [PostgresCall(PostgresSQL.open, [id, "\(clock.now().milliseconds)"])], within: Self.limit)
    guard let row = results.first?.rows.first, let batch = row.integer(at: 0), let fence = row.integer(at: 1) else {
      throw .lost("a session has no row")
    }
    guard row.text(at: 2) != "off" else {
      throw .lost("synchronous_commit is off, so that payments could be lost: set it to on")
    }
    (self.batch, self.fence, confirmedAt) = (batch, fence, start)
  }
}
