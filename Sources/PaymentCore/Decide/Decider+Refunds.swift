extension Decider {
  mutating func refund(_ id: PaymentID, key: IdempotencyKey, _ wanted: Refund.Request) -> Outcome {
    guard let payment = order.payment(id) else { return .failure(noSuchPayment) }
    let earlier = order.refunds.first { $0.payment == id && $0.key == key }
    if let earlier, wanted.amount == earlier.asked, wanted.reason == earlier.reason {
      return .success(.refund(earlier.id, of: order, isRepeat: true))
    }
    // One that the database forgot and its provider lists was asked for under this key, if it has its number.
    let number = rules.numbering.refund(of: order.number(of: id), key)
    let forgotten = order.refunds.first { $0.payment == id && $0.key == nil && $0.number == number }
    if let forgotten, wanted.amount.map({ $0 == forgotten.amount.amount }) ?? true {
      order.refunds[forgotten.id.ordinal - 1].claim(key, wanted)
      return .success(.refund(forgotten.id, of: order, isRepeat: true))
    }
    let left = payment.isKept ? order.refundable(payment) : 0
    let money = Money(wanted.amount ?? left, payment.amount.currency)
    if payment.isKept, left > 0, money.amount <= left, !rules.sheet(payment.provider).supports(money) {
      let detail = "\(payment.provider.text) does not refund this amount in \(money.currency.code)."
      return .failure(Refusal(.amountNotSupported, detail))
    }
    if earlier != nil || forgotten != nil {
      return .failure(
        Refusal(.idempotencyKeyReused, "This key asked for another refund of the payment. Use a new key for a new one.")
      )
    }
    guard payment.isKept else {
      let why =
        payment.surplus != nil
        ? "Its money is surplus and goes back by itself." : "Only a payment that succeeded can be refunded."
      return .failure(Refusal(.paymentNotRefundable, why))
    }
    let refunded = (payment.received?.amount ?? 0) - left
    guard wanted.expectedRefunded.map({ $0 == refunded }) ?? true else {
      let detail =
        "\(refunded) of this payment (in minor units) is refunded or on its way back, not what was expected. Look at its "
        + "refunds, and ask again if more is to go back."
      let refunds = order.refunds.filter { $0.payment == id }
      return .failure(Refusal(.refundStateChanged, detail, payment: order.view(payment), refunds: refunds))
    }
    guard left > 0, money.amount <= left else {
      let rest = "\(left) of \(payment.received?.amount ?? 0) \(payment.amount.currency.code)"
      return .failure(Refusal(.refundExceedsPayment, "Only \(rest) (in minor units) can still be refunded."))
    }
    guard order.hasRoom(for: .requested) else {
      let detail = "This order has had \(Order.maximumRefunds) refunds, the most it can."
      return .failure(Refusal(.invalidRequest, detail))
    }
    let refund = startRefund(
      id, amount: money, cause: .requested, key: key, asked: wanted.amount, reason: wanted.reason)
    return .success(.refund(refund, of: order, isRepeat: false))
  }

  @discardableResult
  mutating func startRefund(
    _ payment: PaymentID, amount: Money, cause: Refund.Cause, key: IdempotencyKey? = nil, asked: Int64? = nil,
    reason: String? = nil
  ) -> RefundID {
    let id = RefundID(order: order.id, ordinal: order.refunds.count + 1)
    let refund = Refund(
      id: id, number: newNumber(of: payment, key), payment: payment, key: key, amount: amount, asked: asked,
      cause: cause, reason: reason, createdAt: now)
    order.refunds.append(refund)
    // It leaves once the provider has said what became of those that may have been done.
    for index in order.refunds.indices where order.refunds[index].payment == payment && order.refunds[index].isInDoubt {
      askAboutRefund(index)
    }
    emit(.refundStarted, fields(refund))
    return id
  }

  /// It follows from what will be said again should this database forget it: the shop's key, or that the money is surplus.
  func newNumber(of payment: PaymentID, _ key: IdempotencyKey?) -> RefundNumber {
    let trade = order.number(of: payment)
    if let key { return rules.numbering.refund(of: trade, key) }
    var earlier = order.refunds.count { $0.payment == payment && $0.cause == .surplus }
    var number: RefundNumber
    repeat {
      number = rules.numbering.surplusRefund(of: trade, after: earlier)
      earlier += 1
    } while order.refunds.contains { $0.number == number }
    return number
  }

  /// Has the provider asked about a refund that has ended. A query in flight was asked earlier, and proves nothing about now.
  private mutating func askAboutRefund(_ index: Int) {
    guard order.refunds[index].number != nil else { return }
    order.refunds[index].calls.lease = nil
    order.refunds[index].calls.answeredAskAt = nil
    order.refunds[index].calls.restart(now: now)
  }

  /// Has the provider asked about the refunds for whose answers others wait, however it came to that.
  mutating func askForWaitingRefunds() {
    guard order.refunds.count > 1 else { return }
    for index in order.refunds.indices where order.refunds[index].calls.nextAt == nil {
      if order.holdsOthersBack(order.refunds[index]) { askAboutRefund(index) }
    }
  }

  private func fields(_ refund: Refund) -> Fields {
    var fields = Fields([
      "refund": .text(refund.id.text), "payment": .text(refund.payment.text), "amount": .integer(refund.amount.amount),
      "currency": .text(refund.amount.currency.code), "cause": .text(refund.cause.rawValue),
    ])
    if let failure = refund.failure { fields.append(failure) }
    return fields
  }

  /// Takes what a provider said about a refund.
  mutating func take(_ evidence: RefundEvidence) -> Outcome {
    guard let refund = order.refund(evidence.refund), let payment = order.payment(refund.payment),
      payment.provider == evidence.provider
    else { return takeUnknown(evidence) }
    let index = refund.id.ordinal - 1
    let previous = refund.calls.last
    let lease = order.refunds[index].calls.finish(number: evidence.call, finding: evidence.verdict.finding, now: now)
    if let reference = evidence.reference { order.refunds[index].providerReference = reference }
    // An empty query proves nothing while the first call can still arrive, so patience begins here.
    if lease?.kind == .queryRefund, !refund.calls.isStill, order.refunds[index].calls.isStill {
      order.refunds[index].calls.step = 0
    }
    switch evidence.verdict {
    case .succeeded(let amount):
      guard refund.status != .succeeded else { break }
      let isOverturned = refund.failureBasis == .proven
      // It said that the money did not go back. What it says by itself may be what it meant before, so it is asked.
      if isOverturned, lease?.kind != .queryRefund {
        askAboutRefund(index)
        break
      }
      // Each time a person hears of it, which bounds how often.
      if isOverturned, order.cases.count >= CaseID.maximum { break }
      let asked = refund.amount
      if let amount { take(amount, of: index, provider: payment.provider) }
      succeedRefund(index)
      // What was asked for since was asked for in its stead.
      if refund.isInDoubt { takeOff(order.refunds[index].amount.amount, after: index) }
      takeOffUnsent(payment)
      let wasSettled = refund.failure?.code == Refund.settledOutside
      let note =
        isOverturned
        ? "the provider had said that this refund failed"
        : wasSettled ? "the provider returned what was returned by other means, too" : nil
      checkReturns(of: payment, by: index, note: note)
      if asked.amount > order.refunds[index].amount.amount {
        let message = "returned \(order.refunds[index].amount.text) of \(asked.text)"
        openRefundCase(.refundFailed, index, Failure(code: Refund.returnedInPart, message: message))
      }
    case .failed(let failure):
      switch refund.status {
      case .processing: failRefund(index, failure, .proven)
      // A provider may take a refund back. What it said before it was done may come late, so it is asked.
      case .succeeded where lease?.kind == .queryRefund: failRefund(index, failure, .proven)
      case .succeeded: askAboutRefund(index)
      case .failed: if refund.isInDoubt { order.refunds[index].prove(failure) }
      }
    case .refused(let failure):
      // The late answer of a call that was given up says nothing of those after it.
      guard refund.status == .processing, let lease, lease.kind == .refund else { break }
      let isFirst = lease.number == refund.calls.firstSent?.number
      // A repeat may be refused because the first call was done. Only queries that stay empty say otherwise.
      if isFirst || (previous?.finding == .notFound && refund.calls.step >= Self.patience) {
        refuseRefund(index, failure)
      }
    case .notFound:
      guard refund.status == .processing, lease?.kind == .queryRefund,
        order.refunds[index].calls.isStill, !rules.sheet(payment.provider).canRepeat(refund.calls, now: now)
      else { break }
      failRefund(
        index,
        Failure(
          code: Refund.notFound, message: "the provider lists no such refund, and its key may have been forgotten"),
        .notFound)
    case .pending:
      if lease != nil || evidence.call == nil { order.refunds[index].becomeKnown(now: now) }
    case .notNow: break
    case .notSent:
      if let lease { _ = order.refunds[index].calls.withdraw(lease, previous: previous) }
    case .unknown:
      order.refunds[index].becomeUnknown(now: now)
    }
    if let lease, order.refunds[index].calls.nextAt != nil {
      // One that has ended is asked about until there is an answer.
      if order.refunds[index].status != .processing, order.refunds[index].isAnswered {
        order.refunds[index].calls.rest()
        return .success(.noted)
      }
      // A refund that the provider has never seen is sent again at once. The wait comes afterwards.
      if lease.kind == .queryRefund, case .notFound = evidence.verdict, order.refunds[index].calls.isStill {
        order.refunds[index].calls.nextAt = now
      } else {
        rescheduleRefund(index)
        order.refunds[index].calls.putOff(evidence.verdict.wait, now: now)
      }
    }
    return .success(.noted)
  }

  /// The provider's word on how much went back under a number counts. Another amount than was asked for is a case for a
  /// person: under this number it was asked for before the database forgot it.
  private mutating func take(_ returned: Money, of index: Int, provider: ProviderName) {
    let refund = order.refunds[index]
    guard returned != refund.amount else { return }
    if returned.currency == refund.amount.currency, returned.amount > 0,
      Money.plausibleAmounts.contains(returned.amount)
    {
      order.refunds[index].amount = returned
    }
    // The rest of surplus money is a case of its own.
    if refund.cause == .surplus, returned.currency == refund.amount.currency, returned.amount < refund.amount.amount {
      return
    }
    openCase(
      .wrongAmount, payment: refund.payment, refund: refund.id, provider: provider, amount: returned,
      note: "asked to return \(refund.amount.text), returned \(returned.text)")
  }

  /// Money that went back under a number which is not stored, or is stored as another provider's: the database forgot
  /// the refund.
  private mutating func takeUnknown(_ evidence: RefundEvidence) -> Outcome {
    guard case .succeeded(let amount?) = evidence.verdict else { return .success(.noted) }
    switch evidence.refund {
    case .number(let number, let trade):
      if let payment = order.payment(.number(trade)), payment.provider == evidence.provider, payment.received != nil {
        let reference = evidence.reference ?? number.text
        record(
          [.init(reference: reference, number: number, amount: amount, isDispute: false)], payment.id.ordinal - 1)
      } else {
        let id = PaymentID(order: order.id, ordinal: trade.ordinal)
        openCaseOnce(
          .disputed, payment: id, provider: evidence.provider, amount: amount,
          note: "the provider returned this money of a payment that is not known to have succeeded")
      }
    case .id(let id) where !order.cases.contains { $0.reason == .disputed && $0.refund == id }:
      openCase(
        .disputed, payment: nil, refund: id, provider: evidence.provider, amount: amount,
        note: "the provider returned this money by a refund that is not stored here")
    case .id: break
    }
    return .success(.noted)
  }

  /// How many waits pass before a refusal of a repeat is believed.
  private static var patience: Int { 6 }

  private mutating func succeedRefund(_ index: Int) {
    order.refunds[index].succeed(now: now)
    emit(.refundSucceeded, fields(order.refunds[index]))
    settleCase(of: order.refunds[index].id)
  }

  /// The refund did not happen, or not under this number.
  mutating func endRefund(_ index: Int, _ failure: Failure, _ basis: Refund.FailureBasis) {
    order.refunds[index].fail(failure, basis, now: now)
    // An answer from before its end does not speak for those that wait for it.
    order.refunds[index].calls.answeredAskAt = nil
    emit(.refundFailed, fields(order.refunds[index]))
    settleCase(of: order.refunds[index].id)
  }

  /// The refund did not happen. Money that the order does not keep must go back all the same, which a person has to see
  /// to.
  private mutating func failRefund(_ index: Int, _ failure: Failure, _ basis: Refund.FailureBasis) {
    endRefund(index, failure, basis)
    openRefundCase(.refundFailed, index, failure)
  }

  /// The provider refuses for good. A refund that was asked for has failed; one of surplus money waits for a person.
  private mutating func refuseRefund(_ index: Int, _ failure: Failure) {
    guard order.refunds[index].cause == .surplus else { return failRefund(index, failure, .refused) }
    order.refunds[index].waitForPerson(failure, now: now)
    openRefundCase(.refundRefused, index, failure)
  }

  private mutating func openRefundCase(_ reason: Case.Reason, _ index: Int, _ failure: Failure) {
    let refund = order.refunds[index]
    guard let payment = order.payment(refund.payment), payment.surplus != nil,
      reason == .refundRefused || order.refundable(payment) > 0
    else { return }
    let amount =
      refund.status == .succeeded ? Money(order.refundable(payment), refund.amount.currency) : refund.amount
    openCase(
      reason, payment: payment.id, refund: refund.id, provider: payment.provider, amount: amount,
      note: "\(failure.code): \(failure.message)", failure: failure)
  }

  /// Records what was returned at the provider without PayOnce, or before the database forgot it, each once, and takes it
  /// off what is still to be sent.
  mutating func record(_ returns: [PaymentEvidence.Return], _ index: Int) {
    let payment = order.payments[index]
    for item in returns {
      let known = order.refunds.first {
        $0.payment == payment.id
          && ($0.providerReference == item.reference || (item.number != nil && $0.number == item.number))
      }
      if let known {
        order.refunds[known.id.ordinal - 1].providerReference = item.reference
        if known.status != .succeeded, known.number != nil {
          _ = take(
            RefundEvidence(
              refund: known.id, provider: payment.provider, call: nil, verdict: .succeeded(item.amount),
              reference: item.reference))
        }
        continue
      }
      // One number names one refund, and this one is another payment's.
      let isOthers = item.number != nil && order.refunds.contains { $0.number == item.number }
      guard !isOthers, order.hasRoom(for: .requested, byProvider: true),
        item.amount.currency == payment.received?.currency,
        item.amount.amount > 0, Money.plausibleAmounts.contains(item.amount.amount)
      else {
        let note = "the provider lists \(item.amount.text) as returned (\(item.reference)), which is not recorded here"
        openCaseOnce(.disputed, payment: payment.id, provider: payment.provider, amount: item.amount, note: note)
        continue
      }
      let id = RefundID(order: order.id, ordinal: order.refunds.count + 1)
      var refund = Refund(
        id: id, number: item.number, payment: payment.id, key: nil, amount: item.amount, asked: nil, cause: .requested,
        reason: item.isDispute ? "disputed by the buyer" : item.number == nil ? "made at the provider" : nil,
        createdAt: now)
      refund.providerReference = item.reference
      refund.succeed(now: now)
      order.refunds.append(refund)
      emit(.refundSucceeded, fields(refund))
      takeOffUnsent(payment)
      checkReturns(of: payment, by: id.ordinal - 1, note: item.isDispute ? "the buyer disputes the payment" : nil)
    }
  }

  /// Opens a case for a dispute, and if more was returned than was received. Ends cases of refunds whose money went
  /// back in another way.
  private mutating func checkReturns(of payment: Payment, by index: Int, note: String?) {
    let refund = order.refunds[index]
    if note != nil || order.refunded(payment) > payment.received?.amount ?? 0 {
      openCase(
        .disputed, payment: payment.id, refund: refund.id, provider: payment.provider, amount: refund.amount,
        note: note ?? "more was returned than was received")
    }
    if order.refundable(payment) <= 0 {
      for other in order.refunds where other.payment == payment.id && other.status == .failed {
        settleCase(of: other.id)
      }
    }
  }

  /// Takes what went back after all off the refunds of the same payment that were started later and not sent yet.
  private mutating func takeOff(_ amount: Int64, after done: Int) {
    var rest = amount
    for index in order.refunds.indices.dropFirst(done + 1) where rest > 0 {
      let refund = order.refunds[index]
      guard refund.payment == order.refunds[done].payment, refund.isUnsent else { continue }
      let taken = min(rest, refund.amount.amount)
      rest -= taken
      shrink(index, by: taken)
    }
  }

  /// A refund with nothing left is done.
  private mutating func shrink(_ index: Int, by amount: Int64) {
    let refund = order.refunds[index]
    if amount < refund.amount.amount {
      order.refunds[index].amount = Money(refund.amount.amount - amount, refund.amount.currency)
    } else {
      endRefund(
        index, Failure(code: Refund.returnedElsewhere, message: "the money went back in another way"), .settled)
    }
  }

  /// Shrinks refunds that were not sent yet, the newest first, until no more goes back than was received.
  private mutating func takeOffUnsent(_ payment: Payment) {
    for index in order.refunds.indices.reversed() {
      let (refund, excess) = (order.refunds[index], -order.refundable(payment))
      guard excess > 0 else { return }
      guard refund.payment == payment.id, refund.isUnsent else { continue }
      shrink(index, by: min(excess, refund.amount.amount))
    }
  }
}
