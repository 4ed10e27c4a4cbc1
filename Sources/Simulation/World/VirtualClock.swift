import PaymentCore
import PaymentEngine

/// The time of a world. It passes only when nobody has anything to do, and then to the next moment at which somebody has.
final class VirtualClock: @unchecked Sendable {
  private enum Wake {
    case sleeper(CheckedContinuation<Void, any Error>)
    case event(() -> Void)
  }
  private struct Entry {
    let at: Int64
    let number: Int
  }

  /// Milliseconds since 1970.
  private(set) var now: Int64 = 1_795_000_000_000
  private var heap: [Entry] = []
  private var wakes: [Int: Wake] = [:]
  private var next = 0

  var instant: Instant { Instant(milliseconds: now) }

  /// Does something later, at once if `milliseconds` is 0 or less.
  func after(_ milliseconds: Int, _ work: @escaping () -> Void) { _ = add(milliseconds, .event(work)) }

  /// - Throws: `CancellationError` when the task is cancelled.
  func sleep(_ milliseconds: Int) async throws {
    let number = next
    next += 1
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        if Task.isCancelled {
          continuation.resume(throwing: CancellationError())
        } else {
          add(milliseconds, .sleeper(continuation), number: number)
        }
      }
    } onCancel: {
      cancel(number)
    }
  }

  private func cancel(_ number: Int) {
    guard case .sleeper(let continuation) = wakes.removeValue(forKey: number) else { return }
    continuation.resume(throwing: CancellationError())
  }

  private func add(_ milliseconds: Int, _ wake: Wake) -> Int {
    let number = next
    next += 1
    add(milliseconds, wake, number: number)
    return number
  }

  private func add(_ milliseconds: Int, _ wake: Wake, number: Int) {
    wakes[number] = wake
    heap.append(Entry(at: now + Int64(max(0, milliseconds)), number: number))
    var index = heap.count - 1
    while index > 0, Self.isBefore(heap[index], heap[(index - 1) / 2]) {
      heap.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  /// Goes on to the next moment at which somebody wakes.
  /// - Returns: whether there is one.
  func advance() -> Bool {
    while let first = heap.first {
      removeFirst()
      // Whoever was cancelled is gone.
      guard let wake = wakes.removeValue(forKey: first.number) else { continue }
      now = max(now, first.at)
      switch wake {
      case .sleeper(let continuation): continuation.resume()
      case .event(let work): work()
      }
      return true
    }
    return false
  }

  /// What is still to come does not.
  func forget() {
    heap = []
    wakes = [:]
  }

  private func removeFirst() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2] where child < heap.count && Self.isBefore(heap[child], heap[least]) {
        least = child
      }
      guard least != index else { return }
      heap.swapAt(index, least)
      index = least
    }
  }

  private static func isBefore(_ left: Entry, _ right: Entry) -> Bool {
    (left.at, left.number) < (right.at, right.number)
  }
}

/// The clock of one node: its date may be off, its uptime is not, and it dies with the node.
struct NodeClock: PaymentEngine.Clock {
  let world: VirtualClock
  let date: NodeDate
  let life: NodeLife

  func now() -> Instant { Instant(milliseconds: world.now + date.lead) }
  func uptime() -> Duration { .milliseconds(world.now) }
  func isSynchronized() -> Bool { date.jump == 0 }

  func sleep(for duration: Duration) async throws {
    if life.isOver { throw CancellationError() }
    try await world.sleep(Int(duration.wholeMilliseconds))
    if life.isOver { throw CancellationError() }
  }
}

/// How far a node's date is ahead, in milliseconds.
final class NodeDate: @unchecked Sendable {
  // A world runs on one thread; see `SeededExecutor`.
  private let skew: Int64
  /// By how much somebody has set it wrong.
  var jump: Int64 = 0

  init(skew: Int64) { self.skew = skew }

  var lead: Int64 { skew + jump }
}

/// Whether a node still counts. What a dead one does reaches nobody: not the store, not a provider, not a caller.
final class NodeLife: @unchecked Sendable {
  private(set) var isOver = false
  func end() { isOver = true }
}
