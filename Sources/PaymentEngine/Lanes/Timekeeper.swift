import Logging
import PaymentCore
import Synchronization

/// Says what time it is, or that this machine does not know. A wrong clock would let deadlines pass early, and leases,
/// for which nodes have to agree about the time.
///
/// The wall clock is held against the monotonic one, which nobody sets. A jump is believed if the system says that its
/// clock is synchronized, or if the store's own clock agrees. Otherwise nothing is decided until the jump is undone.
final class Timekeeper: Sendable {
  private struct State {
    /// What the wall clock is ahead of the uptime, in milliseconds.
    var lead: Int64
    /// By how much the clock is off, while it is.
    var error: Duration?
  }
  private let state: Mutex<State>
  private let clock: any Clock
  private let tolerance: Duration
  private let logger: Logger

  /// - Parameter tolerance: how far the clock may be off.
  init(clock: any Clock, tolerance: Duration, logger: Logger) {
    self.clock = clock
    self.tolerance = tolerance
    self.logger = logger
    state = Mutex(State(lead: clock.now().milliseconds - clock.uptime().wholeMilliseconds))
  }

  /// One look at both clocks.
  struct Reading {
    let now: Instant
    fileprivate let lead: Int64
  }

  func read() -> Reading {
    let (now, uptime) = (clock.now(), clock.uptime())
    return Reading(now: now, lead: now.milliseconds - uptime.wholeMilliseconds)
  }

  /// Checks what was read before anything is decided by it.
  /// - Parameter storeLead: how far the clock is ahead of the store's, where the store has one.
  /// - Throws: `Fault.clockWrong`; `conflict` when the clock was set since it was read, so that it must be read again.
  func check(_ reading: Reading, storeLead: Duration?) throws(Fault) {
    guard isTolerable(.milliseconds(read().lead - reading.lead)) else { throw .conflict }
    let jump = Duration.milliseconds(reading.lead - state.withLock { $0.lead })
    // There is nothing to find out without a jump and without a store to ask.
    let error: Duration? =
      if let storeLead {
        isTolerable(storeLead) ? nil : storeLead
      } else if isTolerable(jump) || clock.isSynchronized() {
        nil
      } else {
        jump
      }
    let before = state.withLock { state in
      defer { state.error = error }
      if error == nil, !isTolerable(jump) { state.lead = reading.lead }
      return state.error
    }
    if error == nil, before == nil, !isTolerable(jump) {
      logger.notice(
        "the clock was set, and is believed", metadata: ["by_ms": "\(jump.wholeMilliseconds)"])
    }
    if let error, before == nil {
      logger.error(
        "the clock of this machine is wrong: nothing is decided here until it is right again",
        metadata: ["ahead_ms": "\(error.wholeMilliseconds)"])
    }
    if error == nil, before != nil { logger.notice("the clock of this machine is right again") }
    if error != nil { throw .clockWrong }
  }

  private func isTolerable(_ error: Duration) -> Bool { error <= tolerance && error >= .zero - tolerance }
}
