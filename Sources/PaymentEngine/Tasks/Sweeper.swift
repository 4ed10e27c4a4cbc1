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
    await withTaskGroup(of: Void.self) { group in
      for (index, lane) in journal.lanes.enumerated() { group.addTask { await sweep(lane, isFirst: index == 0) } }
    }
  }

  private func sweep(_ lane: Lane, isFirst: Bool) async {
    // Where the next look begins: the place moves on past orders that cannot be read or that another node holds.
    var place: WakePlace?
    // Until when everything was looked at. A database that keeps what was deleted for somebody's long transaction makes
    // every look go through it again, if it begins at the beginning.
    var seen: Instant?
    var wholeAgainAt = clock.uptime() + limits.wholeSweepInterval
    var now = clock.now()
    while !dispatcher.isStopping {
      do throws(Fault) {
        place = try await journal.sweep(lane, after: place, limit: limits.batch).next
        if place == nil {
          seen = now
          if isFirst { await dispatcher.callUp(reportingTo: journal) }
        }
      } catch {
        (place, seen) = (nil, nil)
        if error != .clockWrong { logger.warning("a sweep failed; it is tried again", metadata: ["fault": "\(error)"]) }
      }
      guard place == nil else { continue }
      guard (try? await clock.sleep(for: limits.sweepInterval)) != nil else { return }
      now = clock.now()
      if let seen, clock.uptime() < wholeAgainAt {
        place = WakePlace(before: seen.advanced(by: .zero - limits.sweepOverlap))
      } else {
        wholeAgainAt = clock.uptime() + limits.wholeSweepInterval
      }
    }
  }
}
