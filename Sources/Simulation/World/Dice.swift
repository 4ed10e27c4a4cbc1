import PaymentEngine

/// The dice of a world, all thrown from one seed (SplitMix64): the same seed and the same throws give the same course of
/// events in every process.
final class Dice: Randomness, @unchecked Sendable {
  // A world runs on one thread; see `SeededExecutor`.
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  /// A number of `0..<bound`; `bound` is at least 1.
  func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() >> 33) % bound }

  func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

  /// Whether something of this probability happens, in thousandths.
  func happens(_ perMille: Int) -> Bool { perMille > 0 && below(1000) < perMille }

  func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}
