import PaymentEngine
import Synchronization

/// Lets a few through at a time. The others wait in the order in which they came.
final class Turnstile: Sendable {
  private struct State {
    var free: Int
    var waiting: [CheckedContinuation<Result<Void, Fault>, Never>] = []
  }
  private let state: Mutex<State>
  private let limit: Int

  init(atOnce: Int, waiting: Int) {
    state = Mutex(State(free: atOnce))
    limit = waiting
  }

  var waiting: Int { state.withLock { $0.waiting.count } }

  /// Does the work once it is this caller's turn.
  /// - Throws: `Fault.overloaded` when as many wait as may; else the fault of the work. Everybody who waits at that
  ///   moment gets the same fault: with a store that hangs they would otherwise fail one after the other, each after
  ///   the full patience.
  func pass<Value: Sendable>(_ work: () async throws(Fault) -> Value) async throws(Fault) -> Value {
    try await withCheckedContinuation { continuation in
      let answer: Result<Void, Fault>? = state.withLock { state in
        if state.free > 0 {
          state.free -= 1
          return .success(())
        }
        guard state.waiting.count < limit else { return .failure(.overloaded) }
        state.waiting.append(continuation)
        return nil
      }
      if let answer { continuation.resume(returning: answer) }
    }.get()
    do throws(Fault) {
      let value = try await work()
      leave()
      return value
    } catch {
      let waiting = state.withLock { state in
        state.free += 1
        defer { state.waiting = [] }
        return state.waiting
      }
      for continuation in waiting { continuation.resume(returning: .failure(error)) }
      throw error
    }
  }

  private func leave() {
    let next: CheckedContinuation<Result<Void, Fault>, Never>? = state.withLock { state in
      guard !state.waiting.isEmpty else {
        state.free += 1
        return nil
      }
      return state.waiting.removeFirst()
    }
    next?.resume(returning: .success(()))
  }
}
