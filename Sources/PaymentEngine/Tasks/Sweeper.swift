import Logging
import PaymentCore

/// Looks again and again for orders whose time has come: due queries, lapsed leases, deadlines. What a dead node left
/// behind is found in the same way.
struct Sweeper: Sendable {
  private let journal: Journal
  private let dispatcher: Dispatcher
  private let clock: any Clock
  private let logger: Logger
  private let limits: Limits

  init(journal: Journal, dispatcher: Dispatcher, limits: Limits, clock: any Clock, logger: Logger) {
    self.journal = journal
    self.dispatcher = dispatcher
    self.clock = clock
    self.logger = logger
    self.limits = limits
  }

  /// Sweeps until the dispatcher stops. Nothing that is found later could be called.
  func run() async {
    // The place moves on past orders that cannot be read or that another node holds.
    var place: WakePlace?
    while !dispatcher.isStopping {
      do throws(Fault) {
        place = try await journal.sweep(after: place, limit: limits.batch).next
        if place == nil { await dispatcher.callUp(reportingTo: journal) }
      } catch {
        place = nil
        if error != .clockWrong { logger.warning("a sweep failed; it is tried again", metadata: ["fault": "\(error)"]) }
      }
      if place == nil { guard (try? await clock.sleep(for: limits.sweepInterval)) != nil else { return } }
    }
  }
}
