extension Decider {
  mutating func openCase(
    _ reason: Case.Reason, payment: PaymentID, refund: RefundID? = nil, provider: ProviderName, amount: Money,
    note: String
  ) {
    guard order.cases.count < CaseID.maximum else { return }
    let item = Case(
      id: CaseID(order: order.id, ordinal: order.cases.count + 1), reason: reason, payment: payment, refund: refund,
      provider: provider, amount: amount, note: note, openedAt: now)
    order.cases.append(item)
    emit(.caseOpened, fields(item))
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

  private mutating func closeCase(_ index: Int, _ choice: Case.Choice?) {
    order.cases[index].resolvedAt = now
    order.cases[index].choice = choice
    emit(.caseResolved, fields(order.cases[index]))
  }

  /// The payment that was unknown is known now, and the order decides about its money.
  mutating func settleCase(of payment: PaymentID) {
    for index in order.cases.indices
    where order.cases[index].reason == .unknownPayment && order.cases[index].payment == payment
      && order.cases[index].resolvedAt == nil
    {
      closeCase(index, nil)
    }
  }

  /// The refund that waited for a person came to an end by the provider's word.
  mutating func settleCase(of refund: RefundID) {
    for index in order.cases.indices
    where order.cases[index].reason == .refundRefused && order.cases[index].refund == refund
      && order.cases[index].resolvedAt == nil
    {
      closeCase(index, nil)
    }
  }

  /// A person has decided.
  mutating func resolve(_ id: CaseID, _ choice: Case.Choice) -> Outcome {
    guard id.order == order.id, id.ordinal <= order.cases.count else {
      return .failure(Refusal(.notFound, "There is no such case."))
    }
    let index = id.ordinal - 1
    let item = order.cases[index]
    if item.resolvedAt != nil, item.choice == choice { return .success(.noted) }
    guard item.resolvedAt == nil, item.choices.contains(choice) else {
      let names = item.resolvedAt == nil ? item.choices.map(\.rawValue).joined(separator: ", ") : "none, it is resolved"
      return .failure(Refusal(.invalidRequest, "This case has the choices: \(names)."))
    }
    closeCase(index, choice)
    guard let refund = item.refund, let at = order.refunds.firstIndex(where: { $0.id == refund }) else {
      return .success(.noted)
    }
    switch choice {
    case .retry: order.refunds[at].calls.restart(now: now)
    case .newRefund: startRefund(order.refunds[at].payment, amount: order.refunds[at].amount, cause: .surplus)
    case .settledOutside where order.refunds[at].status == .processing:
      order.refunds[at].failure = Failure(code: "settled_outside", message: "returned by other means")
      order.refunds[at].status = .failed
      order.refunds[at].unknownSince = nil
      order.refunds[at].updatedAt = now
      order.refunds[at].calls.rest()
    case .settledOutside, .acknowledge: break
    }
    return .success(.noted)
  }
}
