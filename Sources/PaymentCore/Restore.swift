// How a store builds again what it kept. Nothing else may: an order changes only by `decide`.

extension Order {
  package init(
    restored id: OrderID, registration: Registration, checkoutSecret: UInt128, createdAt: Instant, expiresAt: Instant,
    status: Status, closeReason: CloseReason?, paidAt: Instant?, closedAt: Instant?, updatedAt: Instant, version: Int,
    sequence: Int, duplicates: PreventedDuplicates, payments: [Payment], refunds: [Refund], cases: [Case]
  ) {
    self.id = id
    self.registration = registration
    self.checkoutSecret = checkoutSecret
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.status = status
    self.closeReason = closeReason
    self.paidAt = paidAt
    self.closedAt = closedAt
    self.updatedAt = updatedAt
    self.version = version
    self.sequence = sequence
    self.duplicates = duplicates
    self.payments = payments
    self.refunds = refunds
    self.cases = cases
  }
}

extension Payment {
  package init(
    restored id: PaymentID, key: IdempotencyKey, provider: ProviderName, method: String, askedMethod: String?,
    amount: Money, createdAt: Instant, expiresAt: Instant, status: Status, surplus: Surplus?, received: Money?,
    capturedAt: Instant?, unknownSince: Instant?, action: NextAction?, failure: Failure?, providerReference: String?,
    closeRequestedAt: Instant?, watchUntil: Instant?, updatedAt: Instant, calls: CallState
  ) {
    self.init(
      id: id, key: key, provider: provider, method: method, askedMethod: askedMethod, amount: amount,
      createdAt: createdAt, expiresAt: expiresAt)
    self.status = status
    self.surplus = surplus
    self.received = received
    self.capturedAt = capturedAt
    self.unknownSince = unknownSince
    self.action = action
    self.failure = failure
    self.providerReference = providerReference
    self.closeRequestedAt = closeRequestedAt
    self.watchUntil = watchUntil
    self.updatedAt = updatedAt
    self.calls = calls
  }
}

extension Refund {
  package init(
    restored id: RefundID, payment: PaymentID, key: IdempotencyKey?, amount: Money, asked: Int64?, cause: Cause,
    reason: String?, createdAt: Instant, status: Status, unknownSince: Instant?, failure: Failure?,
    providerReference: String?, updatedAt: Instant, calls: CallState
  ) {
    self.init(
      id: id, payment: payment, key: key, amount: amount, asked: asked, cause: cause, reason: reason,
      createdAt: createdAt)
    self.status = status
    self.unknownSince = unknownSince
    self.failure = failure
    self.providerReference = providerReference
    self.updatedAt = updatedAt
    self.calls = calls
  }
}

extension Case {
  package init(
    restored id: CaseID, reason: Reason, payment: PaymentID?, refund: RefundID?, provider: ProviderName, amount: Money,
    note: String, openedAt: Instant, resolvedAt: Instant?, choice: Choice?
  ) {
    self.init(
      id: id, reason: reason, payment: payment, refund: refund, provider: provider, amount: amount, note: note,
      openedAt: openedAt)
    self.resolvedAt = resolvedAt
    self.choice = choice
  }
}
