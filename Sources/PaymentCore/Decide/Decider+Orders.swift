extension Decider {
  /// Registers a reference that is there already: the same content is the same order.
  func registerAgain(_ registration: Order.Registration) -> Outcome {
    guard registration != order.registration else { return .success(.order(order, isRepeat: true)) }
    let stored = order.registration
    let differs =
      [
        ("amount", registration.amount.amount != stored.amount.amount),
        ("currency", registration.amount.currency != stored.amount.currency),
        ("description", registration.description != stored.description),
        ("expires_in", registration.expiresIn != stored.expiresIn),
        ("late_payment", registration.latePayment != stored.latePayment),
        ("return_url", registration.returnURL != stored.returnURL),
        ("cancel_url", registration.cancelURL != stored.cancelURL),
        ("metadata", registration.metadata != stored.metadata),
      ]
      .filter(\.1).map(\.0).joined(separator: ", ")
    return .failure(
      Refusal(.referenceReused, "This reference is registered with another \(differs). Use a new reference."))
  }

  mutating func closeOrder() -> Outcome {
    switch order.status {
    case .paid:
      return .failure(
        Refusal(.orderPaid, "The order is paid. Refund the payment instead.", payment: order.paidBy))
    case .open: startClosing(.cancelled)
    case .closed where order.closeReason == .expired:
      // The shop is told that the order is closed, and may sell the goods elsewhere: late money goes back from here on.
      order.closeReason = .cancelled
      emit(.orderClosed, ["close_reason": .text(Order.CloseReason.cancelled.rawValue)])
    case .closed: break
    case .closing where order.closeReason == .expired:
      order.closeReason = .cancelled
      emit(.orderClosing, ["close_reason": .text(Order.CloseReason.cancelled.rawValue)])
    case .closing: break
    }
    finishClosing()
    return .success(.order(order, isRepeat: false))
  }

  /// Lets an order that expired be paid after all, so that all money ever sent for it is judged together. What is being
  /// closed of it comes to its end all the same.
  mutating func reopenOrder(expiresIn: Int64?) -> Outcome {
    switch (order.status, order.closeReason) {
    case (.open, _): return .success(.order(order, isRepeat: true))
    case (.paid, _):
      return .failure(Refusal(.orderPaid, "The order is paid. There is nothing to reopen.", payment: order.paidBy))
    case (_, .expired?): break
    default:
      let detail = "The shop closed this order, and it stays closed. Register a new order with another reference."
      return .failure(Refusal(.orderClosed, detail))
    }
    guard order.sequence < Self.repeatableEnd else {
      return .failure(Refusal(.orderClosed, "This order was reopened too often. Register a new order."))
    }
    let seconds =
      expiresIn ?? order.registration.expiresIn ?? rules.schedule.orderLife.components.seconds
    order.status = .open
    order.closeReason = nil
    order.closedAt = nil
    order.expiresAt = now.advanced(by: .seconds(seconds))
    emit(.orderReopened, ["expires_in": .integer(seconds)])
    return .success(.order(order, isRepeat: false))
  }

  /// The open order takes no new payment; a live one is closed at its provider.
  mutating func startClosing(_ reason: Order.CloseReason) {
    order.status = .closing
    order.closeReason = reason
    if order.livePayment.map({ $0.mayHaveLeft }) ?? false {
      emit(.orderClosing, ["close_reason": .text(reason.rawValue)])
    }
    for index in order.payments.indices where order.payments[index].isLive { requestClose(index) }
  }

  /// A closing order is closed once no payment of it is live.
  mutating func finishClosing() {
    guard order.status == .closing, order.livePayment == nil else { return }
    order.status = .closed
    order.closedAt = now
    emit(.orderClosed, ["close_reason": .text(order.closeReason?.rawValue ?? "")])
  }

  /// Notes that another key asked for a payment which the order must not have.
  mutating func preventDuplicate(_ key: IdempotencyKey, of payment: PaymentView?, code: RefusalCode) {
    guard let payment = payment?.payment, order.duplicates.note(key) else { return }
    emit(
      .duplicatePrevented,
      ["payment": .text(payment.id.text), "idempotency_key": .text(key.text), "code": .text(code.rawValue)])
  }

  /// The order keeps this payment. Whatever else of it could still take money is queried and closed at once.
  mutating func becomePaid(by index: Int) {
    let payment = order.payments[index]
    order.status = .paid
    order.closeReason = nil
    order.closedAt = nil
    order.paidAt = now
    emit(
      .orderPaid,
      [
        "payment": .text(payment.id.text), "amount": .integer(payment.amount.amount),
        "currency": .text(payment.amount.currency.code),
      ])
    for other in order.payments.indices where other != index {
      if order.payments[other].isLive { requestClose(other) }
      if order.payments[other].isWatched, order.payments[other].calls.lease == nil {
        order.payments[other].calls.restart(now: now)
      }
    }
  }
}
