import CTimex
import Foundation
import PaymentCore
import PaymentEngine

/// The real time.
struct SystemClock: PaymentEngine.Clock {
  private let start = ContinuousClock.now

  func now() -> Instant {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Instant(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }

  func uptime() -> Duration { ContinuousClock.now - start }

  /// The kernel is told by whatever keeps its clock right (chrony, ntpd, systemd-timesyncd); a date that somebody set by hand
  /// takes that back.
  func isSynchronized() -> Bool {
    var clock = timex()
    return adjtimex(&clock) != TIME_ERROR && clock.status & STA_UNSYNC == 0
  }

  func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}

/// The real dice.
struct SystemRandomness: Randomness {
  func next() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}

/// The thread of one lane: its transactions block, which no thread of the concurrency pool should.
final class LaneThread: TaskExecutor, @unchecked Sendable {
  private let condition = NSCondition()
  // Guarded by `condition`.
  private var jobs: [UnownedJob] = []

  init(name: String) {
    let thread = Thread { [self] in
      // Set by the thread itself, so that the system hears of it: `top -H` should show it.
      Thread.current.name = name
      while true {
        condition.lock()
        while jobs.isEmpty { condition.wait() }
        let ready = jobs
        jobs = []
        condition.unlock()
        for job in ready { job.runSynchronously(on: asUnownedTaskExecutor()) }
      }
    }
    thread.start()
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    condition.lock()
    jobs.append(job)
    condition.signal()
    condition.unlock()
  }
}
