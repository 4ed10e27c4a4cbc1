extension Order {
  /// Since when nobody could learn what became of a payment; `nil` where it is known, or not late yet.
  func silentSince(_ payment: Payment, _ now: Instant) -> Instant? {
    if payment.isLive { return [payment.unknownSince, payment.closeRequestedAt].compactMap { $0 }.min() }
    // A watch ends with an answer.
    return payment.watchUntil.flatMap { $0 <= now ? $0 : nil }
  }

  /// Since when nobody could learn what became of a refund, or for whose answer another one waits.
  func silentSince(_ refund: Refund) -> Instant? {
    if holdsOthersBack(refund) {
      let waiting = refunds[refund.id.ordinal...].first { $0.payment == refund.payment && $0.isUnsent }
      return max(refund.updatedAt, waiting?.createdAt ?? refund.updatedAt)
    }
    guard refund.status == .processing, refund.failure == nil else { return nil }
    guard refund.isUnsent else { return refund.unknownSince }
    guard !waitsForEarlier(refund) else { return nil }
    // It may have waited for others until now.
    return refunds[..<refund.id.ordinal].filter { $0.payment == refund.payment }.compactMap { $0.calls.last?.at }
      .reduce(refund.createdAt, max)
  }

  /// Of what a case is about.
  func silentSince(_ item: Case, _ now: Instant) -> Instant? {
    if let refund = item.refund { return self.refund(refund).flatMap { silentSince($0) } }
    return item.payment.flatMap { self.payment($0) }.flatMap { silentSince($0, now) }
  }
}
