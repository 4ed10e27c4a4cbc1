extension Decider {
  /// - Returns: its index; `nil` where an order has as many as it can.
  @discardableResult
  mutating func openCase(
    _ reason: Case.Reason, payment: PaymentID?, refund: RefundID? = nil, provider: ProviderName, amount: Money,
    note: String, failure: Failure? = nil
  ) -> Int? {
    guard order.cases.count < CaseID.maximum else { return nil }
    let item = Case(
      id: CaseID(order: order.id, ordinal: order.cases.count + 1), reason: reason, payment: payment, refund: refund,
      provider: provider, amount: amount, note: note, openedAt: now)
    order.cases.append(item)
    var data = fields(item)
    data.append("note", .text(note))
    if let failure { data.append(failure) }
    emit(.caseOpened, data)
    return order.cases.count - 1
  }

  /// Opens a case unless there was one about the same: its provider may say the same thing many times.
  mutating func openCaseOnce(
    _ reason: Case.Reason, payment: PaymentID, provider: ProviderName, amount: Money, note: String
  ) {
    let isKnown = order.cases.contains {
      $0.reason == reason && $0.payment == payment && $0.provider == provider && $0.amount == amount
    }
    if !isKnown { openCase(reason, payment: payment, provider: provider, amount: amount, note: note) }
  }

  private func fields(_ item: Case) -> Fields {
    var fields = Fields([
      "case": .text(item.id.text), "reason": .text(item.reason.rawValue), "amount": .integer(item.amount.amount),
      "currency": .text(item.amount.currency.code),
    ])
    if let payment = item.payment { fields.append("payment", payment.text) }
    if let refund = item.refund { fields.append("refund", refund.text) }
    if let choice = item.choice { fields.append("choice", choice.rawValue) }
    return fields
  }

  mutating func closeCase(
    _ index: Int, _ choice: Case.Choice?, _ note: String? = nil, by caller: Caller = .payOnce
  ) {
    order.cases[index].resolve(choice, note, by: caller, now: now)
    emit(.caseResolved, fields(order.cases[index]))
  }

  /// A person sees what nobody could learn anything about for too long, and no more what was learned since.
  mutating func reviewUnresolved() {
    for index in order.cases.indices
    where order.cases[index].reason == .unresolved && order.cases[index].resolvedAt == nil {
      if order.silentSince(order.cases[index], now) == nil { closeCase(index, nil) }
    }
    for payment in order.payments { openUnresolved(payment, nil, since: order.silentSince(payment, now)) }
    for refund in order.refunds {
      guard let payment = order.payment(refund.payment) else { continue }
      openUnresolved(payment, refund, since: order.silentSince(refund))
    }
  }

  private mutating func openUnresolved(_ payment: Payment, _ refund: Refund?, since: Instant?) {
    guard let since, now.since(since) >= rules.schedule.unresolvedAfter else { return }
    // One that was answered meanwhile may fall silent once more. Who has seen it need not see it again.
    let known = order.cases.filter {
      $0.reason == .unresolved && $0.payment == payment.id && $0.refund == refund?.id
    }
    guard known.allSatisfy({ $0.resolvedAt != nil && $0.choice == nil }), known.count < Self.silences,
      order.cases.count < CaseID.maximum / 2
    else { return }
    openCase(
      .unresolved, payment: payment.id, refund: refund?.id, provider: payment.provider,
      amount: refund?.amount ?? payment.amount, note: "for a day nobody could learn what became of it")
  }

  /// How often a person is shown the same one. The numbers of cases are for those about money.
  private static let silences = 3

  /// The payment that was unknown is known now, and the order decides about its money.
  mutating func settleCase(of payment: Payment) {
    for index in order.cases.indices
    where order.cases[index].reason == .unknownPayment && order.cases[index].payment == payment.id
      && order.cases[index].provider == payment.provider && order.cases[index].resolvedAt == nil
    {
      closeCase(index, nil)
    }
  }

  /// The refund that waited for a person is done, by the provider's word.
  mutating func settleCase(of refund: RefundID) {
    for index in order.cases.indices
    where [.refundRefused, .refundFailed].contains(order.cases[index].reason) && order.cases[index].refund == refund
      && order.cases[index].resolvedAt == nil
    {
      closeCase(index, nil)
    }
  }

  mutating func settleOutside(_ refund: RefundID) {
    endRefund(refund.ordinal - 1, Failure(code: Refund.settledOutside, message: "returned by other means"), .settled)
  }

  /// A person has decided.
  mutating func resolve(_ id: CaseID, _ choice: Case.Choice, _ note: String?, by caller: Caller) -> Outcome {
    guard caller.mayResolve, id.order == order.id, id.ordinal <= order.cases.count else {
      return .failure(Refusal(.notFound, "There is no such case."))
    }
    let index = id.ordinal - 1
    let item = order.cases[index]
    switch item.check(choice) {
    case .refused(let refusal): return .failure(refusal)
    case .wasChosen: return .success(.noted)
    case .open: break
    }
    guard let id = item.refund, let refund = order.refund(id), let payment = order.payment(refund.payment) else {
      closeCase(index, choice, note, by: caller)
      return .success(.noted)
    }
    // Meanwhile some of it may have gone back in another way. What the provider refuses is given up for the new one.
    let held = refund.status == .processing ? refund.amount.amount : 0
    // Of one that was done in part it is the rest.
    let wanted = refund.status == .succeeded ? order.refundable(payment) : refund.amount.amount
    let amount = min(wanted, order.refundable(payment) + held)
    if choice == .newRefund, amount <= 0 || !order.hasRoom(for: .surplus) {
      return .failure(Refusal(.refundExceedsPayment, "Nothing of this payment can be returned any more."))
    }
    let isBusy = order.refunds.contains {
      $0.payment == payment.id && $0.cause == .surplus && $0.status == .processing && $0.id != refund.id
    }
    if choice == .newRefund, isBusy {
      return .failure(
        Refusal(.invalidRequest, "Another refund of this payment is on its way. Wait until it has ended."))
    }
    closeCase(index, choice, note, by: caller)
    switch choice {
    case .retry: order.refunds[id.ordinal - 1].retry(now: now)
    case .newRefund:
      if refund.status == .processing, let refusal = refund.failure {
        endRefund(id.ordinal - 1, refusal, .refused)
      }
      startRefund(payment.id, amount: Money(amount, refund.amount.currency), cause: .surplus)
    case .settledOutside where refund.status == .processing: settleOutside(id)
    case .settledOutside, .acknowledge: break
    }
    return .success(.noted)
  }
}
