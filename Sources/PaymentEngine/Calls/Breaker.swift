/// Spaces out the calls to a provider that does not answer.
struct Breaker {
  /// How many calls in a row may fail before the provider counts as down.
  private static let tolerance = 10
  private static let longest: Duration = .seconds(30)

  private var failures = 0
  private var openUntil: Duration?
  private var pause: Duration = .seconds(1)
  private var isProbing = false

  /// - Returns: how long to wait; `nil` when the call may be made.
  mutating func admit(uptime: Duration) -> Duration? {
    guard let openUntil else { return nil }
    if uptime < openUntil { return openUntil - uptime }
    // One call finds out whether the provider is back; the others wait for it.
    if isProbing { return pause }
    isProbing = true
    return nil
  }

  mutating func record(isAnswer: Bool, uptime: Duration) {
    isProbing = false
    if isAnswer {
      self = Breaker()
      return
    }
    failures += 1
    guard failures >= Self.tolerance else { return }
    if let openUntil, uptime < openUntil { return }
    openUntil = uptime + pause
    pause = min(pause * 2, Self.longest)
  }

  /// An admitted call was not made.
  mutating func abandon() { isProbing = false }
}
