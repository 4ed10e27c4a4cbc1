package import PaymentCore
import Synchronization

/// Who waits for what: requests and pages that want to hear when an order changes.
package final class Changes: Sendable {
  private struct State {
    var subscriptions: [OrderID: [Subscription]] = [:]
    var count = 0
    /// The number of the next subscription.
    var next = 0
    var parked: CheckedContinuation<Void, Never>?
    var isStopped = false

    /// Those that may go, the oldest first: an order that is the same in every process.
    func due(_ now: Duration?) -> [Subscription] {
      subscriptions.values.joined().filter { $0.isDue(now) }.sorted { $0.number < $1.number }
    }
  }
  private let state = Mutex(State())
  private let clock: any Clock
  private let limit: Int

  /// - Parameter limit: how many may wait at once; one more gets `Fault.overloaded`.
  package init(clock: any Clock, limit: Int = 20_000) {
    self.clock = clock
    self.limit = limit
  }

  /// Begins to listen. What is published from now on is not missed, also before `first` is called.
  package func subscribe(to order: OrderID) throws(Fault) -> Subscription {
    let (subscription, parked) = state.withLock { state in
      guard state.count < limit else { return (nil as Subscription?, nil as CheckedContinuation<Void, Never>?) }
      let subscription = Subscription(order: order, number: state.next, changes: self)
      if state.isStopped { subscription.expire(now: nil) }
      state.next += 1
      state.count += 1
      state.subscriptions[order, default: []].append(subscription)
      defer { state.parked = nil }
      return (subscription, state.parked)
    }
    parked?.resume()
    guard let subscription else { throw .overloaded }
    return subscription
  }

  /// Tells everybody who listens to one of these orders.
  package func publish(_ orders: [Order]) {
    for order in orders {
      let listening = state.withLock { $0.subscriptions[order.id] } ?? []
      for subscription in listening { subscription.hear(order) }
    }
  }

  fileprivate func end(_ subscription: Subscription) {
    state.withLock { state in
      guard var list = state.subscriptions[subscription.order],
        let index = list.firstIndex(where: { $0 === subscription })
      else { return }
      list.remove(at: index)
      state.subscriptions[subscription.order] = list.isEmpty ? nil : list
      state.count -= 1
    }
  }

  fileprivate func deadline(in duration: Duration) -> Duration { clock.uptime() + duration }

  /// Lets those go who have waited long enough, until `stop`.
  package func run() async {
    while true {
      await park()
      guard !state.withLock(\.isStopped), (try? await clock.sleep(for: .milliseconds(100))) != nil else { return }
      let now = clock.uptime()
      for subscription in state.withLock({ $0.due(now) }) { subscription.expire(now: now) }
    }
  }

  /// Until somebody listens, or nobody may any more.
  private func park() async {
    await withCheckedContinuation { continuation in
      let isParked = state.withLock { state in
        guard state.count == 0, !state.isStopped else { return false }
        state.parked = continuation
        return true
      }
      if !isParked { continuation.resume() }
    }
  }

  /// Lets everybody go, and nobody wait any more: the process is about to end.
  package func stop() {
    let (all, parked) = state.withLock { state in
      state.isStopped = true
      defer { state.parked = nil }
      return (state.due(nil), state.parked)
    }
    parked?.resume()
    for subscription in all { subscription.expire(now: nil) }
  }

  /// The orders to which somebody listens, with the last version that was heard of, `-1` for none. In an order that is the
  /// same in every process.
  var heard: [(OrderID, Int)] {
    state.withLock { state in
      state.subscriptions.map { ($0.key, $0.value.map(\.version).min() ?? -1) }.sorted { $0.0 < $1.0 }
    }
  }

  /// How many listen.
  package var count: Int { state.withLock { $0.count } }
}

/// One listener to one order, used by one task.
package final class Subscription: Sendable {
  package let order: OrderID
  fileprivate let number: Int
  private let changes: Changes
  private let state = Mutex(State())

  private struct State {
    var latest: Order?
    var waiting: Waiting?
    var isOver = false
  }
  private struct Waiting {
    let isMet: @Sendable (Order) -> Bool
    let deadline: Duration
    let continuation: CheckedContinuation<Order?, Never>
  }

  fileprivate init(order: OrderID, number: Int, changes: Changes) {
    self.order = order
    self.number = number
    self.changes = changes
  }

  /// Waits for the first published state that meets the condition.
  /// - Returns: that state; when the time is over, the task cancelled or the process stopping, the last one that was
  ///   published since `subscribe`, if any was.
  package func first(within duration: Duration, where isMet: @escaping @Sendable (Order) -> Bool) async -> Order? {
    let deadline = changes.deadline(in: duration)
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

  /// Of the latest state that was heard; `-1` when there is none.
  fileprivate var version: Int { state.withLock { $0.latest?.version ?? -1 } }

  /// Whether waiting is over for good, since the process is stopping or the task was cancelled.
  package var isOver: Bool { state.withLock { $0.isOver } }

  package func end() { changes.end(self) }

  fileprivate func hear(_ order: Order) {
    let waiting = state.withLock { state -> Waiting? in
      // Lanes publish after they commit, and two publications may cross.
      if let latest = state.latest, (latest.version, latest.updatedAt) > (order.version, order.updatedAt) { return nil }
      state.latest = order
      guard let waiting = state.waiting, waiting.isMet(order) else { return nil }
      state.waiting = nil
      return waiting
    }
    waiting?.continuation.resume(returning: order)
  }

  /// Whether `expire` would do something.
  fileprivate func isDue(_ now: Duration?) -> Bool {
    guard let now else { return true }
    return state.withLock { $0.waiting.map { $0.deadline <= now } ?? false }
  }

  /// - Parameter now: `nil` to let go whatever the time is, and for good.
  fileprivate func expire(now: Duration?) {
    let (waiting, latest) = state.withLock { state -> (Waiting?, Order?) in
      if now == nil { state.isOver = true }
      guard let waiting = state.waiting, now.map({ waiting.deadline <= $0 }) ?? true else { return (nil, nil) }
      state.waiting = nil
      return (waiting, state.latest)
    }
    waiting?.continuation.resume(returning: latest)
  }
}
