import Logging
import PaymentCore

/// What other nodes do to orders that somebody listens to here. Where a store is shared, it is asked for the versions of
/// those orders, all in one question.
struct Neighbours: Sendable {
  let reading: any Reading
  let changes: Changes
  let clock: any Clock
  let logger: Logger

  /// How often the store is asked, and for how many orders at once.
  private static let interval: Duration = .milliseconds(500)
  private static let limit = 1000

  /// Asks until it is cancelled.
  func run() async {
    while (try? await clock.sleep(for: Self.interval)) != nil {
      let heard = changes.heard(limit: Self.limit)
      guard !heard.isEmpty else { continue }
      do throws(Fault) { changes.publish(try await reading.changed(since: heard)) } catch {
        logger.warning("what other nodes did is not heard at the moment", metadata: ["fault": "\(error)"])
      }
    }
  }
}
