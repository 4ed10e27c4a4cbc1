import PaymentCore

extension ModelState {
  /// All that decides about what can happen from here on, and nothing else. Times count from now, and numbers of calls
  /// from the last one; what is longer ago than anybody asks is just over.
  func key(_ bank: ModelBank, _ rules: Rules) -> UInt128 {
    let sheet = bank.sheet
    var key = ModelKey(now: now)
    /// - Parameter end: of the watch, or of the one that a soft close would begin.
    func add(_ calls: CallState, isEnded: Bool = false, watchedUntil end: Instant? = nil) {
      key.add(calls.nextAt == nil)
      guard calls.nextAt != nil else { return }
      key.add(calls.lease == nil ? calls.nextAt : calls.lease!.until)
      key.add(calls.lease?.kind)
      key.add(calls.movingUntil)
      // An answer speaks for a call that may be leaving if it was asked for afterwards.
      key.add(calls.lease.map { $0.askedAt < calls.movingUntil ?? $0.askedAt } ?? false)
      let isFirst = calls.lease?.number == calls.firstSent?.number
      if !isEnded {
        key.add(isFirst)
        if let window = sheet.repeatWindow {
          key.add(calls.firstSent?.at, noEarlierThan: -window.components.seconds)
        } else {
          key.add(calls.firstSent == nil)
        }
      }
      // What was found last decides about the next call, unless one is under way; but a close is tried again where
      // closes are final.
      if sheet.lateMoney.isEmpty || !isEnded && (isFirst || calls.lease == nil) {
        key.add(calls.last?.kind)
        key.add(calls.last?.finding)
      }
      guard let end else { return }
      // A query speaks for the whole watch if it was asked at its end or later.
      for asked in [calls.answeredAskAt, calls.lease?.askedAt] { key.add(asked.map { $0 < end ? 1 : 2 } ?? 0) }
    }
    key.add(order.status)
    key.add(order.closeReason)
    key.add(order.expiresAt)
    key.add(order.cases.count { $0.resolvedAt == nil })
    key.add(order.payments.count)
    for payment in order.payments {
      key.add(payment.status)
      key.add(payment.surplus)
      if payment.isLive {
        key.add(payment.action == nil)
        key.add(payment.failure == nil)
        key.add(payment.closeRequestedAt == nil)
        key.add(payment.expiresAt, noEarlierThan: -rules.schedule.watchMargin.components.seconds)
        add(payment.calls, watchedUntil: payment.expiresAt.advanced(by: rules.schedule.watchMargin))
      } else {
        key.add(payment.watchUntil)
        add(payment.calls, isEnded: true, watchedUntil: payment.watchUntil)
      }
      let charge = charges[payment.id.ordinal - 1]
      key.add(charge?.status)
      guard let charge else { continue }
      key.add(charge.isShown || sheet.createMovesMoney)
      key.add(charge.isSilent)
      key.add(charge.isDeclined)
      key.add(charge.isReal)
      key.add(charge.closedAt == nil)
      key.add(bank.canBeLate(charge, now) ? Int(charge.closedAt! + bank.lateness - now) + 1 : 0)
      key.add(charge.isBegun)
      // Whether it was before the moment for which the other payment waits, or would if that began or were put off now.
      let next = order.payments.count > 1 ? order.payments[1] : nil
      guard payment.id.ordinal == 1, next.map({ $0.isLive && !$0.mayHaveLeft }) ?? true else { continue }
      let other = next.map { $0.waitedUntil.milliseconds / 1000 } ?? now
      for moment in [charge.capturedAt, charge.begunAt] {
        key.add(moment.map { $0 < other ? 1 : $0 < now ? 2 : 3 } ?? 0)
      }
    }
    for refund in order.refunds {
      key.add(refund.payment.ordinal)
      key.add(refund.status)
      key.add(refund.failureBasis)
      key.add(returned.contains(refund.id))
      add(refund.calls)
    }
    key.add(isBusy)
    key.add(faults)
    // Their order says nothing; calls that nobody waits for have no number any more.
    key.add(
      flights.map { flight -> [UInt8] in
        let calls = flight.refund.map { order.refund($0)!.calls } ?? order.payment(flight.payment)!.calls
        var key = ModelKey(now: now)
        key.add(flight.kind)
        key.add(flight.payment.ordinal)
        key.add(flight.refund?.ordinal ?? 0)
        key.add(flight.isUnderWay)
        key.add(flight.isAwaited)
        key.add(flight.isAwaited && calls.lease?.number == flight.number)
        key.add(flight.answer.map(\.key) ?? 0)
        key.add(flight.isFrozen)
        key.add(flight.isAwaited && !flight.isFrozen && flight.leasedAt == now)
        return key.bytes
      })
    return key.fingerprint
  }
}

/// Small values in a row, each a byte.
private struct ModelKey {
  let now: Int64
  private(set) var bytes: [UInt8] = []

  init(now: Int64) {
    self.now = now
    bytes.reserveCapacity(96)
  }

  mutating func add(_ number: Int) { bytes.append(UInt8(number)) }
  mutating func add(_ flag: Bool) { bytes.append(flag ? 1 : 0) }
  mutating func add<Value: CaseIterable & Equatable>(_ value: Value?) where Value.AllCases == [Value] {
    bytes.append(value.map { UInt8(1 + Value.allCases.firstIndex(of: $0)!) } ?? 0)
  }
  /// - Parameter earliest: what is longer ago, in seconds before now, is as long ago as this.
  mutating func add(_ instant: Instant?, noEarlierThan earliest: Int64 = 0) {
    bytes.append(instant.map { UInt8(100 + max(earliest, $0.milliseconds / 1000 - now)) } ?? 0)
  }
  mutating func add(_ parts: [[UInt8]]) {
    for part in parts.sorted(by: { $0.lexicographicallyPrecedes($1) }) { bytes += part }
  }

  /// FNV-1a with 128 bits. Among ten million states, two have the same one by chance in 1 of 10^24 runs; and they take a
  /// fifth of the room.
  var fingerprint: UInt128 {
    bytes.reduce(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d) {
      ($0 ^ UInt128($1)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
    }
  }
}

extension ModelBank.Answer {
  /// Which of the answers of this bank it is: as far as any of them says more than its kind, it always says the same.
  fileprivate var key: Int {
    switch self {
    case .payment(.succeeded): 1
    case .payment(.failed): 2
    case .payment(.closed): 3
    case .payment(.closedSoftly): 4
    case .payment(.pending(nil)): 18
    case .payment(.pending): 5
    case .payment(.declined): 6
    case .payment(.notFound): 7
    case .payment(.rejected(let failure)): failure.code == "invalid_charge" ? 19 : 8
    case .payment(.notSent): 9
    case .payment(.notNow): 20
    case .payment(.unknown): 10
    case .refund(.succeeded): 11
    case .refund(.pending): 12
    case .refund(.failed): 13
    case .refund(.refused): 14
    case .refund(.notFound): 15
    case .refund(.notSent): 16
    case .refund(.notNow): 21
    case .refund(.unknown): 17
    }
  }
}
