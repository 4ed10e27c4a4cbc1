/// Spaces out the calls to a provider that does not answer. When it answers again, the calls come back step by step.
struct Breaker {
  /// How many calls in a row may fail before the provider counts as down.
  private static let tolerance = 10
  private static let longest: Duration = .seconds(30)

  private let limit: Int
  /// How many calls may be under way while it is closed: one more with each answer, so twice as many with each round.
  private(set) var width: Int
  private var failures = 0
  private var openUntil: Duration?
  private var openSince: Duration?
  private var pause: Duration = .seconds(1)
  private var isProbing = false

  init(limit: Int) {
    self.limit = limit
    width = limit
  }

  var isOpen: Bool { openUntil != nil }

  /// For how long it has been open.
  func outage(uptime: Duration) -> Duration { openSince.map { uptime - $0 } ?? .zero }

  /// Whether a call may be made. While it is open that is one call after each pause, which finds out whether the provider
  /// is back; the others wait for it.
  func allows(uptime: Duration) -> Bool { openUntil.map { uptime >= $0 && !isProbing } ?? true }

  /// A call that it allows is going to be made.
  mutating func begin() { isProbing = isOpen }

  mutating func record(isAnswer: Bool, uptime: Duration) {
    isProbing = false
    if isAnswer {
      width = min(limit, isOpen ? 2 : width + 1)
      failures = 0
      openUntil = nil
      openSince = nil
      pause = .seconds(1)
      return
    }
    failures += 1
    guard failures >= Self.tolerance else { return }
    if let openUntil, uptime < openUntil { return }
    openUntil = uptime + pause
    openSince = openSince ?? uptime
    pause = min(pause * 2, Self.longest)
  }

  /// A call that it allowed was not made.
  mutating func abandon() { isProbing = false }
}
