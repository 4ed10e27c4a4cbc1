import Foundation

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
