import PaymentEngine
import Synchronization

/// Limits the orders of the demo: `atOnce` at once, then one in each `interval`.
final class DemoOrders: Sendable {
  private let clock: any Clock
  /// The uptime at which all places will be free again.
  private let free = Mutex<Duration>(.zero)

  static let atOnce = 60
  static let interval: Duration = .seconds(10)

  init(clock: any Clock) { self.clock = clock }

  /// Takes a place.
  /// - Returns: `nil`, or how long to wait when there is none.
  func take() -> Duration? {
    let now = clock.uptime()
    return free.withLock { free in
      let next = max(free, now) + Self.interval
      let wait = next - now - Self.interval * Self.atOnce
      if wait > .zero { return wait }
      free = next
      return nil
    }
  }
}
