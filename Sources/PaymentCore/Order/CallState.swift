/// What is known of the calls made for one payment or refund. What to call next is derived from it.
package struct CallState: Hashable, Sendable {
  /// When the next call is due; `nil` when none is.
  package var nextAt: Instant?
  /// The call in flight. Nobody else calls until it lapses, unless a newer answer is needed (`askWatched`).
  package var lease: Lease?
  /// Until when a call that moves money may still be leaving, made by a node that froze or lost its way back. Its lease
  /// lapses earlier, since to ask harms nobody; but money is not moved again before an answer that was asked for after
  /// this.
  package var movingUntil: Instant?
  /// How many calls were leased so far; the number of the last one.
  package var made: Int = 0
  /// The position on the schedule: how many waits passed since it began anew.
  package var step: Int = 0
  /// The first call that moves money and may have left; `nil` while none has.
  package var firstSent: Sent?
  /// The last call that came to an end, answered or not.
  package var last: Finished?
  /// When the last query that got an answer was asked; forgotten when a payment starts that must wait for a new one.
  package var answeredAskAt: Instant?

  package init(nextAt: Instant?) { self.nextAt = nextAt }

  package struct Sent: Hashable, Sendable {
    package let number: Int
    package let at: Instant

    package init(number: Int, at: Instant) {
      self.number = number
      self.at = at
    }
  }

  package struct Lease: Hashable, Sendable {
    package let kind: Call.Kind
    package let number: Int
    package let askedAt: Instant
    package let until: Instant

    package init(kind: Call.Kind, number: Int, askedAt: Instant, until: Instant) {
      self.kind = kind
      self.number = number
      self.askedAt = askedAt
      self.until = until
    }
  }

  package struct Finished: Hashable, Sendable {
    package let kind: Call.Kind
    package let at: Instant
    package let finding: Finding

    package init(kind: Call.Kind, at: Instant, finding: Finding) {
      self.kind = kind
      self.at = at
      self.finding = finding
    }
  }

  /// What a finished call said, as far as it decides about the next one.
  package enum Finding: String, CaseIterable, Hashable, Sendable {
    /// The provider knows it and said how it ended.
    case found
    /// The provider knows it, and it may still take money.
    case pending
    /// The provider knows nothing of it, or not yet.
    case notFound = "not_found"
    /// The provider refused this request, which says nothing of the payment.
    case refused
    /// No answer that can be relied on.
    case unanswered
  }

  /// When somebody must look again: a call in flight holds everything back until its lease lapses.
  var wakeAt: Instant? {
    guard nextAt != nil else { return nil }
    return lease?.until ?? nextAt
  }

  /// Takes the lease for a call that is about to be made.
  mutating func take(_ kind: Call.Kind, now: Instant, schedule: Schedule) {
    made += 1
    lease = Lease(kind: kind, number: made, askedAt: now, until: now.advanced(by: schedule.lease))
    guard kind.movesMoney else { return }
    movingUntil = now.advanced(by: schedule.moving)
    if firstSent == nil { firstSent = Sent(number: made, at: now) }
  }

  /// Whether no call that moves money can still be leaving, and what was found since speaks for all of them.
  var isStill: Bool { movingUntil == nil }

  /// Notes that the leased call with this number came to an end.
  /// - Returns: the lease, or `nil` when it is not the one in flight (a notice, or a call whose lease lapsed).
  mutating func finish(number: Int?, finding: Finding, now: Instant) -> Lease? {
    guard let lease, lease.number == number else { return nil }
    self.lease = nil
    if lease.kind.movesMoney { movingUntil = nil }
    last = Finished(kind: lease.kind, at: now, finding: finding)
    if finding != .refused, finding != .unanswered, lease.kind == .query || lease.kind == .queryRefund {
      answeredAskAt = lease.askedAt
      if let end = movingUntil, lease.askedAt >= end { movingUntil = nil }
    }
    return lease
  }

  /// Whether a call is in flight whose lease ends by then; `nil` for any.
  func isLeased(until end: Instant?) -> Bool { lease.map { lease in end.map { lease.until <= $0 } ?? true } ?? false }

  /// Takes back what was planned by a clock that was far ahead.
  mutating func correct(now: Instant, moving: Duration) {
    movingUntil = movingUntil.map { min($0, now.advanced(by: moving)) }
    nextAt = nextAt.map { min($0, now) }
  }

  /// Gives the call in flight up: nobody came back with its answer.
  mutating func lapse(now: Instant) {
    let movingUntil = movingUntil
    _ = finish(number: lease?.number, finding: .unanswered, now: now)
    self.movingUntil = movingUntil
    nextAt = now
  }

  /// Takes back what `take` noted: the leased call is proven not to have left.
  /// - Parameter previous: the last call before it.
  /// - Returns: whether now no call that moves money has left.
  mutating func withdraw(_ lease: Lease, previous: Finished?) -> Bool {
    guard lease.kind.movesMoney, lease.number == firstSent?.number else { return false }
    firstSent = nil
    last = previous
    return true
  }

  /// The next call is not made before a provider's time.
  mutating func putOff(_ wait: Duration?, now: Instant) {
    if let wait { nextAt = nextAt.map { max($0, now.advanced(by: wait)) } }
  }

  /// Nothing is to be called any more.
  mutating func rest() {
    nextAt = nil
    lease = nil
    movingUntil = nil
  }

  /// The schedule begins anew, with a call at once.
  mutating func restart(now: Instant) {
    step = 0
    nextAt = now
  }
}
