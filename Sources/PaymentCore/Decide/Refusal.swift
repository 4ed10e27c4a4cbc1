/// An expected "no". The cases stand in order of precedence: where several apply, the first is the answer.
package enum RefusalCode: String, CaseIterable, Hashable, Sendable {
  case unauthorized
  case notFound = "not_found"
  case orderArchived = "order_archived"
  case idempotencyKeyMissing = "idempotency_key_missing"
  case idempotencyKeyInvalid = "idempotency_key_invalid"
  case invalidRequest = "invalid_request"
  case amountNotSupported = "amount_not_supported"
  case idempotencyKeyReused = "idempotency_key_reused"
  case referenceReused = "reference_reused"
  case orderPaid = "order_paid"
  case orderClosed = "order_closed"
  case paymentInProgress = "payment_in_progress"
  case tooManyPayments = "too_many_payments"
  case paymentNotRefundable = "payment_not_refundable"
  case refundStateChanged = "refund_state_changed"
  case refundExceedsPayment = "refund_exceeds_payment"
  case providerNotEnabled = "provider_not_enabled"
}

/// A refusal as it is told: what, why, and what the caller can join instead.
package struct Refusal: Hashable, Sendable {
  package let code: RefusalCode
  /// A sentence that says what is wrong and what to do. It repeats no secret.
  package let detail: String
  /// The payment in the way, so that the caller can follow it instead of paying again.
  package let payment: PaymentView?
  /// What of the payment went back or is about to, where the caller believed otherwise.
  package let refunds: [Refund]
  /// What is left of the order, where it was moved into an archive.
  package let archived: ArchivedOrder?
  /// After how many seconds the same request may be granted, where time is all that it takes.
  package let retryAfter: Int64?
  /// The fields of the request at fault.
  package let errors: [FieldError]

  package struct FieldError: Hashable, Sendable {
    package let field: String
    package let message: String
    package init(field: String, message: String) {
      self.field = field
      self.message = message
    }
  }

  package init(
    _ code: RefusalCode, _ detail: String, payment: PaymentView? = nil, refunds: [Refund] = [],
    archived: ArchivedOrder? = nil, retryAfter: Int64? = nil, errors: [FieldError] = []
  ) {
    self.code = code
    self.detail = detail
    self.payment = payment
    self.refunds = refunds
    self.archived = archived
    self.retryAfter = retryAfter
    self.errors = errors
  }
}
