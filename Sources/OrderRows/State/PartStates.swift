import PaymentCore

// The payments, refunds and cases of an order within its state. Their places say their ordinals. A currency is written
// where it is not the order's.

extension Payment {
  func encode(into writer: inout StateWriter, _ currency: Currency) {
    writer.text(PaymentField.key, key.text)
    writer.text(PaymentField.provider, provider.text)
    writer.text(PaymentField.method, method)
    writer.text(PaymentField.askedMethod, askedMethod)
    writer.money(PaymentField.amount, .currency, amount, currency)
    writer.instant(PaymentField.createdAt, createdAt)
    writer.instant(PaymentField.expiresAt, expiresAt)
    writer.word(PaymentField.status, status)
    writer.instant(PaymentField.updatedAt, updatedAt)
    writer.word(PaymentField.surplus, surplus)
    writer.money(PaymentField.amountReceived, .currencyReceived, received, currency)
    writer.instant(PaymentField.capturedAt, capturedAt)
    writer.instant(PaymentField.unknownSince, unknownSince)
    switch action {
    case .redirect(let url)?: writer.text(PaymentField.redirect, url)
    case .qrCode(let content)?: writer.text(PaymentField.qrCode, content)
    case .clientSecret(let secret)?: writer.text(PaymentField.clientSecret, secret)
    case nil: break
    }
    writer.text(PaymentField.failureCode, failure?.code)
    writer.text(PaymentField.failureMessage, failure?.message)
    writer.text(PaymentField.providerReference, providerReference)
    writer.instant(PaymentField.closeRequestedAt, closeRequestedAt)
    writer.instant(PaymentField.watchUntil, watchUntil)
    writer.message(PaymentField.calls) { calls.encode(into: &$0) }
  }

  init(_ id: PaymentID, _ source: StateReader, _ currency: Currency) throws {
    var reader = source
    var (key, provider, method, askedMethod): (IdempotencyKey?, String?, String?, String?)
    var (amount, received) = (PartialMoney(), PartialMoney())
    var (createdAt, expiresAt, updatedAt): (Instant?, Instant?, Instant?)
    var (status, surplus): (Status?, Surplus?)
    var (capturedAt, unknownSince, closeRequestedAt, watchUntil): (Instant?, Instant?, Instant?, Instant?)
    var actions: [NextAction] = []
    var (failureCode, failureMessage, reference): (String?, String?, String?)
    var calls: CallState?
    while let field: PaymentField = try reader.next() {
      switch field {
      case .key: key = try reader.must(IdempotencyKey(try reader.text()))
      case .provider: provider = try reader.text()
      case .method: method = try reader.text()
      case .askedMethod: askedMethod = try reader.text()
      case .amount: amount.amount = try reader.amount()
      case .currency: amount.currency = try reader.currency()
      case .createdAt: createdAt = try reader.instant()
      case .expiresAt: expiresAt = try reader.instant()
      case .status: status = try reader.word()
      case .updatedAt: updatedAt = try reader.instant()
      case .surplus: surplus = try reader.word()
      case .amountReceived: received.amount = try reader.amount()
      case .currencyReceived: received.currency = try reader.currency()
      case .capturedAt: capturedAt = try reader.instant()
      case .unknownSince: unknownSince = try reader.instant()
      case .redirect: actions.append(.redirect(url: try reader.text()))
      case .qrCode: actions.append(.qrCode(content: try reader.text()))
      case .clientSecret: actions.append(.clientSecret(try reader.text()))
      case .failureCode: failureCode = try reader.text()
      case .failureMessage: failureMessage = try reader.text()
      case .providerReference: reference = try reader.text()
      case .closeRequestedAt: closeRequestedAt = try reader.instant()
      case .watchUntil: watchUntil = try reader.instant()
      case .calls: calls = try CallState(try reader.message())
      }
    }
    let asked = Payment(
      id: id, key: try reader.must(key), provider: ProviderName(try reader.must(provider)),
      method: try reader.must(method), askedMethod: askedMethod,
      amount: try reader.must(reader.money(amount, currency)), createdAt: try reader.must(createdAt),
      expiresAt: try reader.must(expiresAt))
    let failure = try reader.failure(failureCode, failureMessage)
    let money = try reader.money(received, currency)
    guard actions.count <= 1 else { throw reader.unreadable }
    let pending = Pending(unknownSince: unknownSince, decline: failure)
    let state: State? =
      switch (status, actions.first, money, failure) {
      case (.processing, nil, nil, _): .processing(pending)
      case (.requiresAction, let action?, nil, _): .requiresAction(action, pending)
      case (.succeeded, nil, let money?, nil):
        .succeeded(Receipt(money, capturedAt: capturedAt, surplus: surplus))
      case (.failed, nil, nil, let failure?): .failed(failure, watchUntil: watchUntil)
      case (.closed, nil, nil, nil): .closed(watchUntil: watchUntil)
      default: nil
      }
    self = Payment(
      restored: asked, state: try reader.must(state), providerReference: reference,
      closeRequestedAt: closeRequestedAt, updatedAt: try reader.must(updatedAt), calls: try reader.must(calls))
    // What does not belong to this state would be lost at the next change.
    guard self.surplus == surplus, self.capturedAt == capturedAt, self.unknownSince == unknownSince,
      self.watchUntil == watchUntil
    else { throw reader.unreadable }
  }
}

extension Refund {
  func encode(into writer: inout StateWriter, _ currency: Currency) {
    writer.integer(RefundField.payment, payment.ordinal)
    writer.text(RefundField.key, key?.text)
    writer.money(RefundField.amount, .currency, amount, currency)
    writer.integer(RefundField.asked, asked)
    writer.word(RefundField.cause, cause)
    writer.text(RefundField.reason, reason)
    writer.instant(RefundField.createdAt, createdAt)
    writer.word(RefundField.status, status)
    writer.instant(RefundField.updatedAt, updatedAt)
    writer.instant(RefundField.unknownSince, unknownSince)
    writer.text(RefundField.failureCode, failure?.code)
    writer.text(RefundField.failureMessage, failure?.message)
    writer.text(RefundField.providerReference, providerReference)
    writer.message(RefundField.calls) { calls.encode(into: &$0) }
    // It was always proven when nothing was said of it.
    writer.word(RefundField.failureBasis, failureBasis == .proven ? nil : failureBasis)
    if let number { writer.bytes(RefundField.number, number.bits.bytes) }
  }

  init(_ id: RefundID, _ source: StateReader, _ currency: Currency) throws {
    var reader = source
    var (payment, asked): (Int64?, Int64?)
    var key: IdempotencyKey?
    var amount = PartialMoney()
    var (cause, status): (Cause?, Status?)
    var (createdAt, updatedAt, unknownSince): (Instant?, Instant?, Instant?)
    var (reason, failureCode, failureMessage, reference): (String?, String?, String?, String?)
    var calls: CallState?
    var basis: FailureBasis?
    var number: UInt128?
    while let field: RefundField = try reader.next() {
      switch field {
      case .payment: payment = try reader.integer()
      case .key: key = try reader.must(IdempotencyKey(try reader.text()))
      case .amount: amount.amount = try reader.amount()
      case .currency: amount.currency = try reader.currency()
      case .asked: asked = try reader.amount()
      case .cause: cause = try reader.word()
      case .reason: reason = try reader.text()
      case .createdAt: createdAt = try reader.instant()
      case .status: status = try reader.word()
      case .updatedAt: updatedAt = try reader.instant()
      case .unknownSince: unknownSince = try reader.instant()
      case .failureCode: failureCode = try reader.text()
      case .failureMessage: failureMessage = try reader.text()
      case .providerReference: reference = try reader.text()
      case .calls: calls = try CallState(try reader.message())
      case .failureBasis: basis = try reader.word()
      case .number: number = try reader.must(UInt128(bytes: try reader.bytes()))
      }
    }
    guard basis == nil || (status == .failed && basis != .proven) else { throw reader.unreadable }
    let asking = Refund(
      id: id, number: number.map { RefundNumber(bits: $0) },
      payment: try reader.must(try reader.part(payment, of: id.order)), key: key,
      amount: try reader.must(reader.money(amount, currency)), asked: asked, cause: try reader.must(cause),
      reason: reason, createdAt: try reader.must(createdAt))
    let failure = try reader.failure(failureCode, failureMessage)
    let state: State? =
      switch (status, unknownSince, failure) {
      case (.processing, _, _): .processing(unknownSince: unknownSince, refusal: failure)
      case (.succeeded, nil, nil): .succeeded
      case (.failed, nil, let failure?): .failed(failure, basis ?? .proven)
      default: nil
      }
    self = Refund(
      restored: asking, state: try reader.must(state), providerReference: reference,
      updatedAt: try reader.must(updatedAt), calls: try reader.must(calls))
  }
}

extension Case {
  func encode(into writer: inout StateWriter, _ currency: Currency?) {
    writer.word(CaseField.reason, reason)
    writer.integer(CaseField.payment, payment?.ordinal)
    writer.integer(CaseField.refund, refund?.ordinal)
    writer.text(CaseField.provider, provider.text)
    writer.money(CaseField.amount, .currency, amount, currency)
    writer.text(CaseField.note, note)
    writer.instant(CaseField.openedAt, openedAt)
    writer.instant(CaseField.resolvedAt, resolvedAt)
    writer.word(CaseField.choice, choice)
    writer.text(CaseField.resolvedBy, resolvedBy)
    writer.text(CaseField.resolvedNote, resolvedNote)
  }

  init(_ id: CaseID, _ source: StateReader, _ currency: Currency?) throws {
    var reader = source
    var reason: Reason?
    var (payment, refund): (Int64?, Int64?)
    var (provider, note): (String?, String?)
    var amount = PartialMoney()
    var (openedAt, resolvedAt): (Instant?, Instant?)
    var choice: Choice?
    var (resolvedBy, resolvedNote): (String?, String?)
    while let field: CaseField = try reader.next() {
      switch field {
      case .reason: reason = try reader.word()
      case .payment: payment = try reader.integer()
      case .refund: refund = try reader.integer()
      case .provider: provider = try reader.text()
      case .amount: amount.amount = try reader.amount()
      case .currency: amount.currency = try reader.currency()
      case .note: note = try reader.text()
      case .openedAt: openedAt = try reader.instant()
      case .resolvedAt: resolvedAt = try reader.instant()
      case .choice: choice = try reader.word()
      case .resolvedBy: resolvedBy = try reader.text()
      case .resolvedNote: resolvedNote = try reader.text()
      }
    }
    self = Case(
      restored: id, reason: try reader.must(reason), payment: try reader.part(payment, of: id.order),
      refund: try reader.part(refund, of: id.order), provider: ProviderName(try reader.must(provider)),
      amount: try reader.must(reader.money(amount, currency)), note: try reader.must(note),
      openedAt: try reader.must(openedAt), resolvedAt: resolvedAt, choice: choice,
      resolvedBy: resolvedBy, resolvedNote: resolvedNote)
  }
}

extension CallState {
  func encode(into writer: inout StateWriter) {
    writer.instant(CallsField.nextAt, nextAt)
    if let lease {
      writer.word(CallsField.leaseKind, lease.kind)
      writer.integer(CallsField.leaseNumber, lease.number)
      writer.instant(CallsField.leaseAskedAt, lease.askedAt)
      writer.instant(CallsField.leaseUntil, lease.until)
    }
    writer.count(CallsField.made, made)
    writer.count(CallsField.step, step)
    writer.integer(CallsField.firstSentCall, firstSent?.number)
    writer.instant(CallsField.firstSentAt, firstSent?.at)
    if let last {
      writer.word(CallsField.lastKind, last.kind)
      writer.instant(CallsField.lastAt, last.at)
      writer.word(CallsField.lastFinding, last.finding)
    }
    writer.instant(CallsField.answeredAskAt, answeredAskAt)
    writer.instant(CallsField.movingUntil, movingUntil)
  }

  init(_ source: StateReader) throws {
    var reader = source
    var (leaseKind, leaseNumber, leaseAskedAt, leaseUntil): (Call.Kind?, Int?, Instant?, Instant?)
    var (firstCall, firstAt): (Int?, Instant?)
    var (lastKind, lastAt, finding): (Call.Kind?, Instant?, Finding?)
    self.init(nextAt: nil)
    while let field: CallsField = try reader.next() {
      switch field {
      case .nextAt: nextAt = try reader.instant()
      case .leaseKind: leaseKind = try reader.word()
      case .leaseNumber: leaseNumber = try reader.count()
      case .leaseAskedAt: leaseAskedAt = try reader.instant()
      case .leaseUntil: leaseUntil = try reader.instant()
      case .made: made = try reader.count()
      case .step: step = try reader.count()
      case .firstSentCall: firstCall = try reader.count()
      case .firstSentAt: firstAt = try reader.instant()
      case .lastKind: lastKind = try reader.word()
      case .lastAt: lastAt = try reader.instant()
      case .lastFinding: finding = try reader.word()
      case .answeredAskAt: answeredAskAt = try reader.instant()
      case .movingUntil: movingUntil = try reader.instant()
      }
    }
    switch (leaseKind, leaseNumber, leaseAskedAt, leaseUntil) {
    case (nil, nil, nil, nil): break
    case (let kind?, let number?, let askedAt?, let until?):
      lease = Lease(kind: kind, number: number, askedAt: askedAt, until: until)
    default: throw reader.unreadable
    }
    switch (firstCall, firstAt) {
    case (nil, nil): break
    case (let number?, let at?): firstSent = Sent(number: number, at: at)
    default: throw reader.unreadable
    }
    switch (lastKind, lastAt, finding) {
    case (nil, nil, nil): break
    case (let kind?, let at?, let finding?): last = Finished(kind: kind, at: at, finding: finding)
    default: throw reader.unreadable
    }
  }
}

/// An amount and its currency, as far as they were read.
private struct PartialMoney {
  var amount: Int64?
  var currency: Currency?
}

extension StateWriter {
  fileprivate mutating func money<Field: StateField>(
    _ amount: Field, _ currency: Field, _ value: Money?, _ expected: Currency?
  ) {
    integer(amount, value?.amount)
    if value?.currency != expected { text(currency, value?.currency.code) }
  }
}

extension StateReader {
  fileprivate func money(_ value: PartialMoney, _ expected: Currency?) throws -> Money? {
    guard let amount = value.amount else {
      guard value.currency == nil else { throw unreadable }
      return nil
    }
    guard value.currency == nil || value.currency != expected else { throw unreadable }
    return Money(amount, try must(value.currency ?? expected))
  }

  /// A code and a message make sense together only.
  fileprivate func failure(_ code: String?, _ message: String?) throws -> Failure? {
    switch (code, message) {
    case (nil, nil): return nil
    case (let code?, let message?): return Failure(code: code, message: message)
    default: throw unreadable
    }
  }

  fileprivate func part<Kind>(_ ordinal: Int64?, of order: OrderID) throws -> OrderPartID<Kind>? {
    try ordinal.map { try must(OrderPartID(order, $0)) }
  }
}
