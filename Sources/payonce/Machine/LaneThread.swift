import Foundation

/// The thread of one lane. Its transactions block, and would hold up a thread of the concurrency pool.
final class LaneThread: TaskExecutor, @unchecked Sendable {
  private let condition = NSCondition()
  // Guarded by `condition`.
  private var jobs: [UnownedJob] = []

  init(name: String) {
    let thread = Thread { [self] in
      // The thread sets its own name. Only then does the system know it, so that `top -H` shows it.
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
