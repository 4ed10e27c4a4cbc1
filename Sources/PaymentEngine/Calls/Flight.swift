import PaymentCore
import Synchronization

/// One call under way: the wait for it ends with the provider's answer or with its time, whichever is first.
final class Flight: Sendable {
  private enum State {
    case flying
    case awaited(CheckedContinuation<Evidence?, Never>)
    case landed(Evidence?)
  }
  /// By the clock's uptime.
  let endsBy: Duration
  private let state = Mutex(State.flying)

  init(endsBy: Duration) { self.endsBy = endsBy }

  /// What the provider proved; `nil` when the time was over first.
  func evidence() async -> Evidence? {
    await withCheckedContinuation { continuation in
      let landed: Evidence?? = state.withLock { state in
        if case .landed(let evidence) = state { return .some(evidence) }
        state = .awaited(continuation)
        return nil
      }
      if let landed { continuation.resume(returning: landed) }
    }
  }

  func land(with evidence: Evidence?) {
    let waiting: CheckedContinuation<Evidence?, Never>? = state.withLock { state in
      switch state {
      case .landed: return nil
      case .flying:
        state = .landed(evidence)
        return nil
      case .awaited(let continuation):
        state = .landed(evidence)
        return continuation
      }
    }
    waiting?.resume(returning: evidence)
  }
}
