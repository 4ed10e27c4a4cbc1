import CTimex
import Foundation
import PaymentCore
import PaymentEngine

/// The machine's clock. `uptime` counts from when this value was made.
struct SystemClock: PaymentEngine.Clock {
  private let start = ContinuousClock.now

  func now() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Instant(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }

  func uptime() -> Duration { ContinuousClock.now - start }

  /// Whether the kernel calls the clock synchronized. A time service sets that (chrony, ntpd, systemd-timesyncd);
  /// setting the date by hand takes it back.
  func isSynchronized() -> Bool {
    var clock = timex()
    return adjtimex(&clock) != TIME_ERROR && clock.status & STA_UNSYNC == 0
  }

  func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}
