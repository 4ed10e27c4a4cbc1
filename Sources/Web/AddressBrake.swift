import Contract
import PaymentCore
import PaymentEngine
import Synchronization

/// Slows down an address from which many payments are tried that come to nothing, on whatever orders: a robot that tests
/// stolen cards, and orders anew for each. Each server counts for itself, in memory.
final class AddressBrake: Sendable {
  private let clock: any PaymentEngine.Clock
  /// When an address began the tries of which no good came, the oldest first.
  private let tries = Mutex<[[UInt8]: [Duration]]>([:])

  /// So many of them in so long a time, from one address: far more than the people behind one connection need.
  static let most = 30
  static let span: Duration = .seconds(600)
  /// How many addresses are remembered. Beyond that the one forgotten first is that which has been quiet for longest.
  private static let capacity = 10_000

  init(clock: any PaymentEngine.Clock) { self.clock = clock }

  /// How many addresses are remembered.
  var count: Int { tries.withLock { $0.count } }

  /// Notes that a payment is about to be tried.
  /// - Parameter address: `nil` where nobody knows whose it is.
  /// - Throws: the refusal, where the address has to wait.
  func begin(_ address: [UInt8]?) throws(Refusal) {
    guard let address else { return }
    let now = clock.uptime()
    let wait: Duration? = tries.withLock { tries in
      var own = tries[address, default: []].filter { now - $0 < Self.span }
      if own.count >= Self.most { return Self.span - (now - own[0]) }
      own.append(now)
      if tries[address] == nil, tries.count >= Self.capacity { Self.makeRoom(in: &tries, now) }
      tries[address] = own
      return nil
    }
    guard let wait else { return }
    let seconds = max(1, (wait.wholeMilliseconds + 999) / 1000)
    let detail = "Too many payments were tried from this address. The next one can start in \(seconds) s."
    throw Refusal(.tooManyPayments, detail, retryAfter: seconds)
  }

  /// Something came of the try that began last: it was a repeat, or a payment that was not declined.
  func forgive(_ address: [UInt8]?) {
    guard let address else { return }
    tries.withLock { tries in
      guard var own = tries[address], !own.isEmpty else { return }
      own.removeLast()
      tries[address] = own.isEmpty ? nil : own
    }
  }

  /// A sixteenth at once, so that not every newcomer looks through all of them.
  private static func makeRoom(in tries: inout [[UInt8]: [Duration]], _ now: Duration) {
    tries = tries.filter { $0.value.last.map { now - $0 < span } ?? false }
    guard tries.count >= capacity else { return }
    for (address, _) in tries.sorted(by: { $0.value.last! < $1.value.last! }).prefix(capacity / 16) {
      tries[address] = nil
    }
  }
}
