// How a store builds again what it kept. Nothing else may.

extension Order {
  package init(
    restored id: OrderID, number: OrderNumber, registration: Registration, checkoutSecret: UInt128, createdAt: Instant,
    expiresAt: Instant,
    status: Status, closeReason: CloseReason?, paidAt: Instant?, closedAt: Instant?, updatedAt: Instant, version: Int,
    sequence: Int, duplicates: PreventedDuplicates, payments: [Payment], refunds: [Refund], cases: [Case]
  ) {
    self.id = id
    self.number = number
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

extension Case {
  package init(
    restored id: CaseID, reason: Reason, payment: PaymentID?, refund: RefundID?, provider: ProviderName, amount: Money,
    note: String, openedAt: Instant, resolvedAt: Instant?, choice: Choice?, resolvedBy: String?, resolvedNote: String?
  ) {
    self.init(
      id: id, reason: reason, payment: payment, refund: refund, provider: provider, amount: amount, note: note,
      openedAt: openedAt)
    self.resolvedAt = resolvedAt
    self.choice = choice
    self.resolvedBy = resolvedBy
    self.resolvedNote = resolvedNote
  }
}
