/// How often one order may be tried again after its payments were declined. A person with three cards is never slowed
/// down; a robot that tries stolen ones is, and then stopped.
package struct DeclineBrake: Hashable, Sendable {
  /// How many declines have no consequence.
  package var free = 4
  /// The pauses after the declines that follow, counted from when the declined payment started; the last one repeats.
  package var pauses: [Duration] = [10, 30, 60, 120, 300].map { .seconds($0) }
  /// After how many declines the order takes no payment any more.
  package var most = 20

  package init() {}

  /// Whether another payment may start.
  package enum Position: Hashable, Sendable {
    case open
    /// Not before this moment.
    case paused(until: Instant)
    /// Never again: another order has to be registered.
    case ended

    /// When it is open again, where only time is needed.
    package var end: Instant? { if case .paused(let end) = self { end } else { nil } }
  }
}

extension Order {
  /// How many payments of it were declined.
  var declines: Int { payments.count { $0.status == .failed } }

  /// Whether another payment may start at `now`, as far as the number of those before it counts.
  package func brake(_ now: Instant, _ brake: DeclineBrake) -> DeclineBrake.Position {
    let declines = declines
    if payments.count >= Self.maximumPayments || declines >= brake.most { return .ended }
    guard declines > brake.free, let last = payments.last(where: { $0.status == .failed }) else { return .open }
    let pause = brake.pauses[min(declines - brake.free, brake.pauses.count) - 1]
    let end = last.createdAt.advanced(by: pause)
    return now < end ? .paused(until: end) : .open
  }
}
