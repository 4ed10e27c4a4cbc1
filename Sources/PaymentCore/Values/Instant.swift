/// A moment in time, in whole milliseconds since 1970-01-01T00:00:00Z. It is read once per command, outside this
/// module, and handed down: nothing in here knows what time it is.
package struct Instant: Hashable, Comparable, Sendable {
  package let milliseconds: Int64

  package init(milliseconds: Int64) { self.milliseconds = milliseconds }

  /// From 1970 to the end of 9999: what can be written as a time, and what nothing that is added to it brings out of bounds.
  package static let plausible = Instant(milliseconds: 0)...Instant(milliseconds: 253_402_300_799_999)

  /// The instant `duration` later (earlier when negative), cut off below the millisecond.
  package func advanced(by duration: Duration) -> Instant {
    Instant(milliseconds: milliseconds + duration.wholeMilliseconds)
  }

  /// How long after `earlier` this instant is; negative when it is before.
  package func since(_ earlier: Instant) -> Duration { .milliseconds(milliseconds - earlier.milliseconds) }

  package static func < (left: Instant, right: Instant) -> Bool { left.milliseconds < right.milliseconds }
}

extension Duration {
  /// The duration in milliseconds, cut off towards zero.
  package var wholeMilliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}

/// The earlier of two instants, where `nil` means never.
func earliest(_ left: Instant?, _ right: Instant?) -> Instant? {
  guard let left else { return right }
  guard let right else { return left }
  return min(left, right)
}
