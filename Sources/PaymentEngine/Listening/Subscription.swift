package import PaymentCore
import Synchronization

/// One listener to one order, used by one task.
package final class Subscription: Sendable {
  package let order: OrderID
  let kind: Listeners.Kind
  let number: Int
  private let listeners: Listeners
  private let state = Mutex(State())

  private struct State {
    var latest: Order?
    /// Whether it was published, and not only the one to begin with.
    var isHeard = false
    var waiting: Waiting?
    var isOver = false
  }
  private struct Waiting {
    let isMet: @Sendable (Order) -> Bool
    let deadline: Duration
    let continuation: CheckedContinuation<Order?, Never>
  }

  init(order: OrderID, kind: Listeners.Kind, number: Int, listeners: Listeners) {
    self.order = order
    self.kind = kind
    self.number = number
    self.listeners = listeners
  }

  /// Waits for the first published state that meets the condition.
  /// - Returns: that state; when the time is over, the task cancelled or the process stopping, the last one that is known
  ///   here, if any is.
  package func first(within duration: Duration, where isMet: @escaping @Sendable (Order) -> Bool) async -> Order? {
    let deadline = listeners.deadline(in: duration)
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let answer: Order?? = state.withLock { state in
          if let latest = state.latest, isMet(latest) { return .some(latest) }
          if state.isOver || duration <= .zero { return .some(state.latest) }
          state.waiting = Waiting(isMet: isMet, deadline: deadline, continuation: continuation)
          return nil
        }
        if let answer { continuation.resume(returning: answer) }
      }
    } onCancel: {
      expire(now: nil)
    }
  }

  /// The version of the latest state that was heard; `-1` if there is none. Another node's answer to a question changes no
  /// version, so the first poll brings the order in any case.
  var version: Int { state.withLock { $0.isHeard ? $0.latest?.version ?? -1 : -1 } }

  /// Whether waiting is over for good, since the process is stopping, the task was cancelled, or it gave way to another.
  package var isOver: Bool { state.withLock { $0.isOver } }

  func end() { listeners.end(self) }

  /// Takes this state for the first, unless one as new was published meanwhile.
  func begin(with order: Order) {
    state.withLock { state in
      if let latest = state.latest, (latest.version, latest.updatedAt) >= (order.version, order.updatedAt) { return }
      state.latest = order
    }
  }

  func hear(_ order: Order) {
    let waiting = state.withLock { state -> Waiting? in
      // Lanes publish after they commit, and two publications may cross.
      if let latest = state.latest, (latest.version, latest.updatedAt) > (order.version, order.updatedAt) { return nil }
      state.latest = order
      state.isHeard = true
      guard let waiting = state.waiting, waiting.isMet(order) else { return nil }
      state.waiting = nil
      return waiting
    }
    waiting?.continuation.resume(returning: order)
  }

  /// Whether `expire` would do something.
  func isDue(_ now: Duration?) -> Bool {
    guard let now else { return true }
    return state.withLock { $0.waiting.map { $0.deadline <= now } ?? false }
  }

  /// - Parameter now: `nil` to let go whatever the time is, and for good.
  func expire(now: Duration?) {
    let (waiting, latest) = state.withLock { state -> (Waiting?, Order?) in
      if now == nil { state.isOver = true }
      guard let waiting = state.waiting, now.map({ waiting.deadline <= $0 }) ?? true else { return (nil, nil) }
      state.waiting = nil
      return (waiting, state.latest)
    }
    waiting?.continuation.resume(returning: latest)
  }
}
