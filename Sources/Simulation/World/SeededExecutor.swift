import Glibc

/// Runs all tasks of a world on the thread that calls `World.run`, one job at a time, in an order that the dice pick: every
/// await is a place where anything else may happen first.
final class SeededExecutor: TaskExecutor, @unchecked Sendable {
  // Only the thread of the world touches them: every task of a world prefers this executor or one of its gates.
  private var jobs: [(job: UnownedJob, executor: UnownedTaskExecutor)] = []
  private(set) var steps = 0
  private let thread = pthread_self()

  func enqueue(_ job: consuming ExecutorJob) { add(UnownedJob(job), asUnownedTaskExecutor()) }

  fileprivate func add(_ job: UnownedJob, _ executor: UnownedTaskExecutor) {
    precondition(pthread_self() == thread, "a task left the world: it has another executor")
    jobs.append((job, executor))
  }

  /// Runs one job.
  /// - Returns: whether there was one.
  func step(_ dice: Dice) -> Bool {
    guard !jobs.isEmpty else { return false }
    let index = jobs.count == 1 ? 0 : dice.below(jobs.count)
    jobs.swapAt(index, jobs.count - 1)
    let (job, executor) = jobs.removeLast()
    steps += 1
    job.runSynchronously(on: executor)
    return true
  }
}

/// The tasks of one node: they can be held back as a whole, as a process is by SIGSTOP or a machine by its swap.
final class NodeExecutor: TaskExecutor, @unchecked Sendable {
  private let world: SeededExecutor
  private var held: [UnownedJob] = []
  private(set) var isFrozen = false
  /// How often it was frozen.
  private(set) var freezes = 0

  init(_ world: SeededExecutor) { self.world = world }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isFrozen { held.append(job) } else { world.add(job, asUnownedTaskExecutor()) }
  }

  func freeze() {
    isFrozen = true
    freezes += 1
  }

  func thaw() {
    isFrozen = false
    for job in held { world.add(job, asUnownedTaskExecutor()) }
    held = []
  }
}
