extension Decider {
  /// Takes what a provider said about a payment. Evidence of success always wins; what ranks lower than the payment's
  /// status never changes that status.
  mutating func take(_ evidence: PaymentEvidence) -> Outcome {
    if case .succeeded(let received) = evidence.verdict, !Money.plausibleAmounts.contains(received.amount) {
      let doubt = PaymentEvidence.Verdict.unknown("the provider says that it took \(received.text)")
      return take(evidence.saying(doubt))
    }
    // A provider speaks only for its own payments; under one number each can have one of its own.
    guard let payment = order.payment(evidence.payment), payment.provider == evidence.provider else {
      return takeUnknown(evidence)
    }
    let index = evidence.payment.ordinal - 1
    if let reference = evidence.reference, order.payments[index].providerReference != reference {
      order.payments[index].providerReference = reference
    }
    let previous = payment.calls.last
    let lease = order.payments[index].calls.finish(
      number: evidence.call, finding: evidence.verdict.finding, now: now)
    // An answer that arrives after its lease lapsed describes an earlier moment. Only what cannot change back counts.
    let isLate = evidence.call != nil && lease == nil
    if hasForgottenLife(payment, evidence), !evidence.isWhole, lease?.kind != .query {
      askAboutForgottenLife(index)
    } else if case .succeeded(let received) = evidence.verdict {
      if payment.status != .succeeded {
        succeed(index, received, evidence)
      } else {
        compare(received, with: payment)
      }
      if let moment = evidence.capturedAt { order.payments[index].noteCapture(at: moment) }
      record(evidence.returns, index)
    } else if isLate, evidence.verdict.rank < .ended {
      return .success(.noted)
    } else if payment.isLive {
      takeWhileLive(evidence.verdict, index, lease: lease, previous: previous)
    } else if payment.isWatched {
      takeWhileWatched(evidence.verdict, index, lease: lease)
    } else if evidence.verdict.finding == .pending, payment.status != .succeeded, !payment.mayHaveLeft {
      watchAgain(index)
    }
    return .success(.noted)
  }

  private mutating func takeWhileLive(
    _ verdict: PaymentEvidence.Verdict, _ index: Int, lease: CallState.Lease?, previous: CallState.Finished?
  ) {
    let payment = order.payments[index]
    let sheet = rules.sheet(payment.provider)
    switch verdict {
    case .succeeded: return
    case .failed(let failure): return end(index, failure: failure)
    case .closed:
      // A declined payment that is then closed has failed; one that nobody paid is closed.
      // A query may see the past, so the payment is watched for money that comes late.
      let late = sheet.lateMoney[payment.method].map { now.advanced(by: $0 + rules.schedule.watchMargin) }
      return end(index, watchUntil: late)
    case .closedSoftly:
      return end(index, watchUntil: payment.expiresAt.advanced(by: rules.schedule.watchMargin))
    case .pending(let action): known(index, action: action)
    case .declined(let failure, let action):
      order.payments[index].decline(failure)
      known(index, action: action)
    case .notFound where sheet.absence == .notBegun && payment.status == .requiresAction: known(index, action: nil)
    case .notFound: break
    case .rejected(let failure):
      // Only a refusal of the first attempt is final. A repeat may be refused because the first one succeeded.
      let isFirst = lease.map { $0.kind == .charge && $0.number == payment.calls.firstSent?.number } ?? false
      if isFirst, sheet.finalRejections.contains(failure.code) { return end(index, failure: failure) }
      if lease?.kind == .charge { doubt(index, "the provider refused the request: \(failure.code)") }
    // That this attempt did nothing is the provider's word about a moment. Asked about the payment, it says more.
    case .notNow: break
    case .notSent:
      if let lease, order.payments[index].calls.withdraw(lease, previous: previous) {
        if payment.closeRequestedAt != nil { return end(index) }
        planNextCall(index)
        // By then the answers for which this charge waited are old.
        return order.askWatched(at: order.payments[index].calls.nextAt ?? now)
      }
    case .unknown(let reason): doubt(index, reason)
    }
    if lease != nil { planNextCall(index, after: verdict.wait) }
  }

  /// The provider has the payment and it is not decided.
  private mutating func known(_ index: Int, action: NextAction?) {
    guard order.payments[index].becomeKnown(action, now: now) else { return }
    emit(.paymentRequiresAction, ["payment": .text(order.payments[index].id.text)])
  }

  /// Plans the next call of a live payment after one that did not end it.
  /// - Parameter wait: how long its provider wants to be left alone.
  private mutating func planNextCall(_ index: Int, after wait: Duration? = nil) {
    let payment = order.payments[index]
    // There are no waits from the wish to close to the close itself: query, burn if need be, close. A charge that the
    // provider has never seen is sent again without a wait, but not twice in a row.
    if let next = order.nextCall(payment, now: now, rules: rules), next != .query, payment.mayHaveLeft,
      payment.calls.last?.kind != next
    {
      order.payments[index].calls.nextAt = now
    } else {
      reschedule(index)
    }
    order.payments[index].calls.putOff(wait, now: now)
  }

  private mutating func takeWhileWatched(
    _ verdict: PaymentEvidence.Verdict, _ index: Int, lease: CallState.Lease?
  ) {
    let payment = order.payments[index]
    let isFinal =
      switch verdict {
      case .failed: true
      case .closed: rules.sheet(payment.provider).lateMoney[payment.method] == nil
      default: false
      }
    if isFinal { return order.payments[index].endWatch(now: now) }
    if case .closed = verdict, let late = rules.sheet(payment.provider).lateMoney[payment.method] {
      order.payments[index].endWatch(by: now.advanced(by: late + rules.schedule.watchMargin))
    }
    if verdict.finding == .pending {
      // The buyer has begun after all. Payments that wait for this answer may not go on, and the watch may not end.
      order.payments[index].calls.answeredAskAt = nil
    }
    guard lease != nil else { return }
    if let end = payment.watchUntil, let asked = order.payments[index].calls.answeredAskAt, asked >= end {
      return order.payments[index].endWatch(now: now)
    }
    if order.nextCall(order.payments[index], now: now, rules: rules) == .close, payment.calls.last?.kind != .close {
      // There is something to close now.
      order.payments[index].calls.nextAt = now
    } else {
      reschedule(index)
    }
    order.payments[index].calls.putOff(verdict.wait, now: now)
  }

  /// Whether money was taken before this database knows of its payment, which it had forgotten: meanwhile it may have gone
  /// back.
  private func hasForgottenLife(_ payment: Payment, _ evidence: PaymentEvidence) -> Bool {
    guard case .succeeded = evidence.verdict, payment.status != .succeeded, let capturedAt = evidence.capturedAt else {
      return false
    }
    return capturedAt.advanced(by: rules.schedule.clockTolerance) < payment.createdAt
  }

  /// Nothing is made of such money before the provider has said, asked about it, what went back of it.
  private mutating func askAboutForgottenLife(_ index: Int) {
    let payment = order.payments[index]
    if payment.isLive, payment.mayHaveLeft {
      known(index, action: nil)
    } else if !payment.isWatched {
      watchAgain(index)
    }
    if order.payments[index].calls.lease == nil { order.payments[index].calls.nextAt = now }
  }

  /// This database has forgotten that the payment was sent: nothing more is sent for it, it is asked about, and closed there.
  mutating func watchAgain(_ index: Int) {
    let until = max(now, order.payments[index].expiresAt).advanced(by: rules.schedule.watchMargin)
    if order.payments[index].isLive { end(index, watchUntil: until) }
    order.payments[index].watchAgain(until: until, now: now)
  }

  /// The money was taken: it is the order's own, or it goes back.
  private mutating func succeed(_ index: Int, _ received: Money, _ evidence: PaymentEvidence) {
    let payment = order.payments[index]
    // Should the provider have forgotten the number, what it takes now is other money.
    let isSettled = order.cases.contains { item in
      item.reason == .unknownPayment && item.payment == payment.id && item.provider == payment.provider
        && item.choice == .settledOutside && item.amount == received
        && evidence.capturedAt.map { $0 <= item.resolvedAt ?? $0 } ?? true
    }
    // In an earlier life it was surplus, which went back: it pays for nothing in this one either.
    let trade = order.number(of: payment.id)
    let wasSurplus = evidence.returns.contains { item in
      (0..<Order.maximumSurplusNumbers).contains { item.number == rules.numbering.surplusRefund(of: trade, after: $0) }
    }
    let surplus =
      surplus(received, of: payment, capturedAt: evidence.capturedAt) ?? (isSettled || wasSurplus ? .late : nil)
    order.payments[index].succeed(received, surplus: surplus, now: now)
    emit(
      .paymentSucceeded,
      [
        "payment": .text(payment.id.text), "amount_received": .integer(received.amount),
        "currency_received": .text(received.currency.code),
      ])
    settleCase(of: payment)
    guard let surplus else { return becomePaid(by: index) }
    emit(
      .paymentSurplus,
      [
        "payment": .text(payment.id.text), "surplus": .text(surplus.rawValue),
        "amount_received": .integer(received.amount), "currency_received": .text(received.currency.code),
      ])
    if surplus == .mismatch {
      let note = "asked for \(payment.amount.text), took \(received.text)"
      openCase(.wrongAmount, payment: payment.id, provider: payment.provider, amount: received, note: note)
    }
    let number = newNumber(of: payment.id, nil)
    let due = received.amount - evidence.returned(in: received.currency, besides: number)
    guard due > 0 else { return }
    let refund = startRefund(payment.id, amount: Money(due, received.currency), cause: .surplus)
    if isSettled { settleOutside(refund) }
  }

  /// A provider that says another amount than before about money it has taken is a case for a person.
  private mutating func compare(_ received: Money, with payment: Payment) {
    guard let before = payment.received, before != received else { return }
    let note = "first said to have taken \(before.text), now \(received.text)"
    openCaseOnce(.wrongAmount, payment: payment.id, provider: payment.provider, amount: received, note: note)
  }

  /// Whether the order keeps this money, tested in the order in which the reasons count.
  private func surplus(_ received: Money, of payment: Payment, capturedAt: Instant?) -> Payment.Surplus? {
    if received != payment.amount { return .mismatch }
    // Nothing was sent for it, as far as this database remembers: it was taken while the order could be paid, and then
    // forgotten. The shop may have been told that it is paid.
    let wasInTime = !payment.mayHaveLeft && capturedAt.map { $0 <= order.expiresAt } ?? false
    switch (order.status, order.closeReason) {
    case (.paid, _): return .duplicate
    case (.open, _), (.closing, .expired): return nil
    case (.closed, .expired): return order.registration.latePayment == .accept || wasInTime ? nil : .late
    case (.closing, _), (.closed, _): return .late
    }
  }

  /// Verified money under a number of this order that is not stored, or is stored as another provider's: the database
  /// forgot the payment.
  private mutating func takeUnknown(_ evidence: PaymentEvidence) -> Outcome {
    if case .succeeded(let received) = evidence.verdict {
      let id = PaymentID(order: order.id, ordinal: evidence.payment.ordinal)
      openCaseOnce(
        .unknownPayment, payment: id, provider: evidence.provider, amount: received,
        note: "the provider took this money for a payment that is not stored here")
    }
    return .success(.noted)
  }
}
