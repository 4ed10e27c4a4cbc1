extension Order {
  /// How many payments an order can have, and how many refunds can be asked for: far more than anybody needs, and few
  /// enough that an order stays small and its numbers never run out.
  package static let maximumPayments = 100
  package static let maximumRefunds = 400
  /// How many an order's provider can make by itself until the next one is a case for a person.
  static let maximumReturns = 400
  /// How many refunds of surplus money: one for each payment, and new ones after failures.
  static let maximumSurplusRefunds = 200
  /// How many numbers of a payment's surplus are looked for where its earlier life was forgotten.
  package static let maximumSurplusNumbers = 5

  /// Whether there may be one more refund of this kind. Each kind has room of its own, so that none of them takes all the
  /// place.
  func hasRoom(for cause: Refund.Cause, byProvider: Bool = false) -> Bool {
    // All of them together have an ordinal, and surplus money last.
    let others = cause == .surplus ? 0 : Self.maximumSurplusRefunds
    guard refunds.count < RefundID.maximum - others else { return false }
    let count = refunds.count { $0.cause == cause && ($0.cause == .surplus || ($0.key == nil) == byProvider) }
    switch cause {
    case .surplus: return count < Self.maximumSurplusRefunds
    case .requested: return count < (byProvider ? Self.maximumReturns : Self.maximumRefunds)
    }
  }
}

extension Decider {
  mutating func pay(key: IdempotencyKey, provider: ProviderName, method: String?) -> Outcome {
    let account = rules.account(provider)
    let sheet = account?.sheet
    let asked = method
    let method = asked ?? sheet?.methods.first
    let earlier = order.payments.first { $0.key == key }
    // What was asked is compared. The method that is meant when none is named can change with a release.
    if let earlier, earlier.provider == provider, earlier.askedMethod == asked || earlier.method == method {
      return .success(.payment(earlier.id, of: order, isRepeat: true))
    }
    if let sheet, let method, !sheet.methods.contains(method) {
      let message = "\(provider.text) has the methods \(sheet.methods.joined(separator: ", "))."
      return .failure(
        Refusal(.invalidRequest, "There is no such method.", errors: [.init(field: "method", message: message)]))
    }
    if let sheet, !sheet.supports(order.registration.amount) {
      let currency = order.registration.amount.currency.code
      return .failure(Refusal(.amountNotSupported, "\(provider.text) does not take this amount in \(currency)."))
    }
    if let earlier {
      let other = earlier.provider == provider ? "method" : "provider"
      let detail = "This key started a payment with another \(other). Use a new key for a new try."
      return .failure(Refusal(.idempotencyKeyReused, detail, payment: order.view(earlier)))
    }
    if let refusal = refuseSecondPayment(key) ?? refuseBesideForgotten(provider) { return .failure(refusal) }
    if let refusal = refuseWhileBraked() { return .failure(refusal) }
    let merchant = order.registration.merchant
    guard let sheet, let method, account?.takesPayments(for: merchant) ?? false else {
      let names = rules.accounts(for: merchant).map(\.provider.text).joined(separator: ", ")
      let detail = "\(provider.text) is not enabled here. Enabled: \(names.isEmpty ? "none" : names)."
      return .failure(Refusal(.providerNotEnabled, detail))
    }
    return start(key: key, provider: provider, method: method, asked: asked, life: sheet.actionLife)
  }

  /// Another payment cannot start while one is live or kept, or once the order is over. This is the promise itself.
  private mutating func refuseSecondPayment(_ key: IdempotencyKey) -> Refusal? {
    let refusal: Refusal
    switch order.status {
    case .paid:
      refusal = Refusal(.orderPaid, "The order is paid. Do not pay again.", payment: order.paidBy)
    case .closing:
      let detail = "The order is being closed, and its payment asked about. Do not pay again."
      refusal = Refusal(.orderClosed, detail, payment: order.livePayment.map(order.view))
    case .closed:
      let why = order.closeReason == .expired ? "its deadline has passed" : "the shop closed it"
      refusal = Refusal(.orderClosed, "The order takes no payment any more: \(why).")
    case .open:
      guard let live = order.livePayment else { return nil }
      let detail = "A payment of this order is under way. Follow it, or close it first to pay in another way."
      refusal = Refusal(.paymentInProgress, detail, payment: order.view(live))
    }
    preventDuplicate(key, of: refusal.payment, code: refusal.code)
    return refusal
  }

  /// Slows down whoever tries card after card, and then stops them.
  private func refuseWhileBraked() -> Refusal? {
    switch order.brake(now, rules.schedule.declines) {
    case .open: return nil
    case .paused(let end):
      let seconds = (end.since(now).wholeMilliseconds + 999) / 1000
      let detail = "Too many payments of this order were declined. The next one can start in \(seconds) s."
      return Refusal(.tooManyPayments, detail, retryAfter: seconds)
    case .ended:
      let detail =
        "Too many payments of this order were tried, and it takes no more. Nothing is under way for it: register a new "
        + "order with another reference."
      return Refusal(.tooManyPayments, detail)
    }
  }

  /// Tells the shop that the next payment has to wait.
  private mutating func noteBrake() {
    let wait: Fields.Value
    switch order.brake(now, rules.schedule.declines) {
    case .open: return
    case .paused(let end): wait = .integer((end.since(now).wholeMilliseconds + 999) / 1000)
    case .ended: wait = .null
    }
    emit(.paymentThrottled, ["declines": .integer(Int64(order.declines)), "retry_after": wait])
  }

  /// A provider has money of this order that the database forgot. A new payment under the forgotten number finds that
  /// money. Under another number, or at another provider, the money would be taken again.
  private func refuseBesideForgotten(_ provider: ProviderName) -> Refusal? {
    let forgotten = order.cases.first {
      $0.reason == .unknownPayment && $0.resolvedAt == nil
        && ($0.provider != provider || $0.payment?.ordinal != order.payments.count + 1)
    }
    guard let forgotten else { return nil }
    let detail =
      "\(forgotten.provider.text) has taken money for this order, which is being looked into. Do not pay again."
    return Refusal(.paymentInProgress, detail)
  }

  private mutating func start(
    key: IdempotencyKey, provider: ProviderName, method: String, asked: String?, life: Duration
  ) -> Outcome {
    let id = PaymentID(order: order.id, ordinal: order.payments.count + 1)
    let amount = order.registration.amount
    var data = Fields([
      "payment": .text(id.text), "provider": .text(provider.text), "method": .text(method),
      "amount": .integer(amount.amount), "currency": .text(amount.currency.code),
    ])
    // An earlier payment may still turn out paid. Its provider is asked first; until it answers, this one is not sent.
    let watched = order.payments.filter(\.isWatched)
    order.askWatched(at: now)
    if !watched.isEmpty { data.append("waits_for", watched.map(\.id.text).joined(separator: " ")) }
    order.payments.append(
      Payment(
        id: id, key: key, provider: provider, method: method, askedMethod: asked, amount: amount, createdAt: now,
        expiresAt: min(order.expiresAt, now.advanced(by: life))))
    emit(.paymentStarted, data)
    return .success(.payment(id, of: order, isRepeat: false))
  }

  /// Takes in a forgotten payment as one that has ended and may have taken money all the same. Its provider is asked at
  /// once, nothing is ever sent for it, and what is still open there is closed. Its method is not known, so it is
  /// watched like the method whose money can come latest.
  mutating func adopt(_ id: PaymentID, _ provider: ProviderName) -> Outcome {
    guard id.ordinal == order.payments.count + 1, id.ordinal <= Order.maximumPayments,
      let sheet = rules.account(provider)?.sheet,
      let method = sheet.methods.max(by: { sheet.lateMoney[$0] ?? .zero < sheet.lateMoney[$1] ?? .zero }),
      let key = IdempotencyKey("adopted \(id.text)"),
      !order.payments.contains(where: { $0.key == key })
    else { return .success(.noted) }
    let amount = order.registration.amount
    var payment = Payment(
      id: id, key: key, provider: provider, method: method, askedMethod: nil, amount: amount, createdAt: now,
      expiresAt: max(now, order.expiresAt))
    payment.end(watchUntil: payment.expiresAt.advanced(by: rules.schedule.watchMargin), now: now)
    order.payments.append(payment)
    emit(
      .paymentStarted,
      [
        "payment": .text(id.text), "provider": .text(provider.text), "method": .text(method),
        "amount": .integer(amount.amount), "currency": .text(amount.currency.code), "adopted": .text("true"),
      ])
    emit(.paymentClosed, ["payment": .text(id.text)])
    return .success(.payment(id, of: order, isRepeat: false))
  }

  /// Takes in what came for the order before it was registered: a restored database had forgotten it. Its money is found by
  /// asking; what cannot be asked about is a case of the order's own.
  /// - Returns: the strays that are done with thereby.
  mutating func takeIn(_ strays: [Case]) -> [Case] {
    strays.filter { $0.resolvedAt == nil || $0.choice != nil }.compactMap { stray in
      if let ordinal = stray.payment?.ordinal { takeIn(stray, PaymentID(order: order.id, ordinal: ordinal)) }
      guard stray.resolvedAt == nil else { return nil }
      var stray = stray
      stray.resolve(nil, "it is in \(order.id.text) now, which was registered since", by: .payOnce, now: now)
      return stray
    }
  }

  private mutating func takeIn(_ stray: Case, _ id: PaymentID) {
    guard
      !order.cases.contains(where: { $0.reason == .unknownPayment && $0.payment == id && $0.provider == stray.provider }
      )
    else { return }
    // What a person has decided about this money holds.
    if stray.choice == .settledOutside,
      let index = openCase(
        .unknownPayment, payment: id, provider: stray.provider, amount: stray.amount, note: stray.note)
    {
      let caller = stray.resolvedBy.map { Caller.operator($0) } ?? .payOnce
      closeCase(index, .settledOutside, stray.resolvedNote, by: caller)
    }
    var isNew = id.ordinal <= Order.maximumPayments
    while isNew, order.payments.count < id.ordinal {
      let next = PaymentID(order: order.id, ordinal: order.payments.count + 1)
      _ = adopt(next, stray.provider)
      isNew = order.payments.count == next.ordinal
    }
    guard let payment = order.payment(id), payment.provider == stray.provider else {
      return openCaseOnce(
        .unknownPayment, payment: id, provider: stray.provider, amount: stray.amount, note: stray.note)
    }
    // It is known only as one of which nothing has left.
    let isEnded = !payment.isLive && !payment.isWatched && payment.status != .succeeded
    if isEnded || payment.isLive && !payment.mayHaveLeft { watchAgain(id.ordinal - 1) }
  }

  mutating func closePayment(_ id: PaymentID) -> Outcome {
    guard let payment = order.payment(id) else { return .failure(noSuchPayment) }
    if payment.isLive { requestClose(id.ordinal - 1) }
    return .success(.payment(id, of: order, isRepeat: false))
  }

  mutating func check(_ id: PaymentID) -> Outcome {
    guard let payment = order.payment(id) else { return .failure(noSuchPayment) }
    // An unsent payment has nothing to ask about. The payments for which it waits have.
    let isUnsent = payment.isLive && !payment.mayHaveLeft
    for index in order.payments.indices {
      let (asked, calls) = (order.payments[index], order.payments[index].calls)
      guard isUnsent ? asked.isWatched : asked.id == id && (asked.isLive || asked.isWatched), calls.lease == nil,
        // A node on which the provider is off must not make it due: that would put it off for nodes that can ask.
        rules.account(asked.provider) != nil, let next = calls.nextAt
      else { continue }
      var soonest = max(now, calls.last.map { $0.at.advanced(by: rules.schedule.readerInterval) } ?? now)
      // An answer is of use only if it is newer than the moment until which the charge is put off.
      if isUnsent { soonest = max(soonest, payment.calls.nextAt ?? soonest) }
      guard soonest < next else { continue }
      order.payments[index].calls.nextAt = soonest
      // Readers ask beside the schedule and do not use it up.
      order.payments[index].calls.step = max(0, calls.step - 1)
    }
    return .success(.payment(id, of: order, isRepeat: false))
  }

  var noSuchPayment: Refusal { Refusal(.notFound, "There is no such payment.") }

  /// Asks for the close of a live payment. It ends here if nothing of it can have left. Otherwise it is queried and
  /// closed at its provider, and stays live until that is confirmed.
  mutating func requestClose(_ index: Int) {
    if order.payments[index].requestClose(now: now), !order.payments[index].mayHaveLeft { end(index) }
  }

  /// The payment ends without money.
  /// - Parameters:
  ///   - failure: why it failed; `nil` where what is known of a declined try says so, or nobody paid.
  ///   - watchUntil: until when it is asked about nevertheless.
  mutating func end(_ index: Int, failure: Failure? = nil, watchUntil: Instant? = nil) {
    if let failure { order.payments[index].decline(failure) }
    order.payments[index].end(watchUntil: watchUntil, now: now)
    if watchUntil != nil { reschedule(index) }
    let payment = order.payments[index]
    if let failure = payment.failure {
      var data = Fields(["payment": .text(payment.id.text)])
      data.append(failure)
      emit(.paymentFailed, data)
      noteBrake()
    } else {
      emit(.paymentClosed, ["payment": .text(payment.id.text)])
    }
  }

  /// Nobody knows whether the provider acted. That is a state of the payment, not an end of it.
  mutating func doubt(_ index: Int, _ reason: String) {
    guard order.payments[index].becomeUnknown(now: now) else { return }
    emit(.paymentUnknown, ["payment": .text(order.payments[index].id.text), "reason": .text(reason)])
  }
}
