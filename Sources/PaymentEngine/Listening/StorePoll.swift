import Logging
import PaymentCore

/// Polls a shared store for changes that other nodes made to orders that somebody listens to here, many orders in one
/// question.
struct StorePoll: Sendable {
  let reading: any Reading
  let listeners: Listeners
  /// How often the store is asked.
  let interval: Duration
  let clock: any Clock
  let logger: Logger

  /// For how many orders in one question.
  private static let limit = 1000

  /// Asks until it is cancelled.
  func run() async {
    while (try? await clock.sleep(for: interval)) != nil {
      let heard = listeners.heard
      do throws(Fault) {
        for start in stride(from: 0, to: heard.count, by: Self.limit) {
          let some = heard[start..<min(start + Self.limit, heard.count)]
          listeners.publish(try await reading.changed(since: Dictionary(uniqueKeysWithValues: some)))
        }
      } catch {
        logger.warning("what other nodes did is not heard at the moment", metadata: ["fault": "\(error)"])
      }
    }
  }
}
