/// Every span of time by which orders are decided. One value, so that it can be configured and simulated as a whole.
package struct Schedule: Hashable, Sendable {
  /// How long a provider call may take before its outcome counts as unknown.
  package var callTimeout: Duration = .seconds(10)
  /// How much longer than a call nobody moves money again, because nodes freeze and clocks differ.
  package var leaseMargin: Duration = .seconds(30)
  /// The waits between the queries of a payment whose end is not known; the last one repeats.
  package var queries: [Duration] = Schedule.defaultQueries
  /// Spreads the waits, so that what began together does not come back together: ±10 %.
  package var jitterPercent: Int64 = 10
  /// How soon after a call for a payment a reader can cause the next.
  package var readerInterval: Duration = .seconds(1)
  /// An order's time to live when the shop does not say.
  package var orderLife: Duration = .seconds(15 * 60)
  /// How long nothing can be learned about a payment or a refund until a person has to look.
  package var unresolvedAfter: Duration = .seconds(86_400)
  /// How long an ended payment is watched beyond the last moment at which its provider may take money.
  package var watchMargin: Duration = .seconds(10 * 60)

  /// How often an order may be tried again after declines.
  package var declines = DeclineBrake()

  package init() {}

  /// 1, 2, 3, 5 s, every 5 s up to a minute, 1 min, 5 min, 15 min, 1 h, 6 h, then daily.
  package static let defaultQueries: [Duration] =
    [1, 2, 3, 5].map { .seconds($0) } + Array(repeating: .seconds(5), count: 10)
    + [60, 300, 900, 3600, 21_600, 86_400].map { .seconds($0) }

  /// How far a node's clock may be off before the node decides nothing any more. Two nodes that are off both ways stay
  /// within the margin.
  package var clockTolerance: Duration { leaseMargin / 3 }

  /// How long a call belongs to its node alone. Afterwards another node may ask what became of it, which harms nobody.
  package var lease: Duration { callTimeout + clockTolerance }

  /// How long a call that moves money may still be leaving. Afterwards it may be made again.
  package var moving: Duration { callTimeout + leaseMargin }

  /// The wait before the next call.
  /// - Parameter salt: decides the jitter, so that the same state always gives the same moment.
  func wait(step: Int, salt: UInt64) -> Duration {
    let wait = queries[min(step, queries.count - 1)].wholeMilliseconds
    let spread = wait * jitterPercent / 100
    guard spread > 0 else { return .milliseconds(wait) }
    var hash = FNV1a()
    hash.add(withUnsafeBytes(of: salt.littleEndian) { Array($0) })
    hash.add(CollectionOfOne(UInt8(truncatingIfNeeded: step)))
    return .milliseconds(wait - spread + Int64(hash.value % UInt64(2 * spread + 1)))
  }
}
