import Contract
import PaymentCore
import PaymentEngine
import Synchronization

/// Slows down an address from which many payments are declined, on whatever orders: a robot that tests stolen cards
/// uses a new order for each. Each server counts for itself, in memory.
final class AddressBrake: Sendable {
  fileprivate struct Try {
    let number: Int
    let at: Duration
    /// `nil` while the payment is being started.
    var payment: PaymentID?
  }
  fileprivate struct Tries {
    /// The tries of the last `span`, the oldest first.
    var all: [Try] = []
    /// How many had been declined when no place was left, and the uptime until which that is believed.
    var declined = 0
    var believedUntil: Duration = .zero
  }
  fileprivate struct State {
    var tries: [[UInt8]: Tries] = [:]
    var next = 0
  }
  private let clock: any PaymentEngine.Clock
  private let state = Mutex(State())

  /// How many declined payments in `span` stop an address. The people behind one connection have far fewer.
  static let most = 30
  static let span: Duration = .seconds(600)
  /// How many addresses are remembered. Beyond that the ones that have been quiet for longest are forgotten.
  fileprivate static let capacity = 10_000
  /// How long a count of declined payments is believed, so that a robot that goes on does not make the store count each
  /// time.
  private static let trust: Duration = .seconds(2)

  init(clock: any PaymentEngine.Clock) { self.clock = clock }

  /// How many addresses are remembered.
  var count: Int { state.withLock { $0.tries.count } }

  /// Notes that a payment is about to be tried.
  /// - Parameters:
  ///   - address: `nil` when nobody knows whose it is. Such a try is not counted.
  ///   - status: the status of a payment that was started before. Asked for when no place is left: a payment that was
  ///     not declined gives its place back.
  /// - Returns: the number of the try, for `end`; `nil` without an address.
  /// - Throws: `too_many_payments` with the time to wait, or what `status` throws.
  func begin(
    _ address: [UInt8]?, status: (PaymentID) async throws -> Payment.Status?
  ) async throws -> Int? {
    guard let address else { return nil }
    if let number = take(address) { return number }
    let now = clock.uptime()
    let known = state.withLock { $0.tries[address] ?? Tries() }
    var declined = known.declined
    if known.believedUntil <= now {
      var others: Set<Int> = []
      declined = 0
      for it in known.all {
        guard let payment = it.payment else { continue }
        switch try await status(payment) {
        case .failed: declined += 1
        // This payment may still be declined.
        case .processing: break
        case .requiresAction, .succeeded, .closed, nil: others.insert(it.number)
        }
      }
      state.withLock { state in
        state.tries[address]?.all.removeAll { others.contains($0.number) }
        guard others.isEmpty else { return }
        state.tries[address]?.declined = declined
        state.tries[address]?.believedUntil = now + Self.trust
      }
      if let number = take(address) { return number }
    }
    let isDeclined = declined >= Self.most
    let wait = isDeclined ? Self.span - (now - (known.all.first?.at ?? now)) : Self.trust
    let seconds = max(1, (wait.wholeMilliseconds + 999) / 1000)
    let detail =
      isDeclined
      ? "Too many payments from this address were declined. The next one can start in \(seconds) s."
      : "Too many payments are tried from this address at once. The next one can start in \(seconds) s."
    throw Refusal(.tooManyPayments, detail, retryAfter: seconds)
  }

  /// Takes a place among the tries of the address; `nil` when there is none.
  private func take(_ address: [UInt8]) -> Int? {
    let now = clock.uptime()
    return state.withLock { state -> Int? in
      var own = state.tries[address] ?? Tries()
      own.all.removeAll { now - $0.at >= Self.span }
      guard own.all.count < Self.most else { return nil }
      if state.tries[address] == nil, state.tries.count >= Self.capacity { state.makeRoom(now) }
      state.next += 1
      own.all.append(Try(number: state.next, at: now))
      state.tries[address] = own
      return state.next
    }
  }

  /// Notes that a try has been answered.
  /// - Parameter started: the payment that the try started. `nil` when it started none: then it does not count.
  func end(_ address: [UInt8]?, _ number: Int?, started payment: PaymentID?) {
    guard let address, let number else { return }
    state.withLock { state in
      guard let index = state.tries[address]?.all.firstIndex(where: { $0.number == number }) else { return }
      if let payment {
        state.tries[address]?.all[index].payment = payment
      } else {
        state.tries[address]?.all.remove(at: index)
        if state.tries[address]?.all.isEmpty ?? false { state.tries[address] = nil }
      }
    }
  }
}

extension AddressBrake.State {
  /// Forgets the addresses without recent tries. If that is not enough, forgets a sixteenth at once, so that not every
  /// newcomer has to look through all of them.
  fileprivate mutating func makeRoom(_ now: Duration) {
    tries = tries.filter { $0.value.all.last.map { now - $0.at < AddressBrake.span } ?? false }
    guard tries.count >= AddressBrake.capacity else { return }
    for (address, _) in tries.sorted(by: { $0.value.all.last!.at < $1.value.all.last!.at })
      .prefix(AddressBrake.capacity / 16)
    {
      tries[address] = nil
    }
  }
}
