/// Something that happened to an order. Numbered within it from 1 without a gap, kept for ever, told to the shop.
package struct Event: Hashable, Sendable {
  package let id: EventID
  package let type: Kind
  package let at: Instant
  /// What happened, as the shop reads it; never a next action, a checkout URL or a secret.
  package let data: Fields

  package enum Kind: String, CaseIterable, Hashable, Sendable {
    case orderCreated = "order.created"
    case orderPaid = "order.paid"
    case orderClosing = "order.closing"
    case orderClosed = "order.closed"
    case orderReopened = "order.reopened"
    case paymentStarted = "payment.started"
    case paymentRequiresAction = "payment.requires_action"
    case paymentUnknown = "payment.unknown"
    case paymentSucceeded = "payment.succeeded"
    case paymentFailed = "payment.failed"
    case paymentClosed = "payment.closed"
    case paymentSurplus = "payment.surplus"
    case paymentThrottled = "payment.throttled"
    case refundStarted = "refund.started"
    case refundSucceeded = "refund.succeeded"
    case refundFailed = "refund.failed"
    case caseOpened = "case.opened"
    case caseResolved = "case.resolved"
    case duplicatePrevented = "duplicate.prevented"
  }

  package init(id: EventID, type: Kind, at: Instant, data: Fields) {
    self.id = id
    self.type = type
    self.at = at
    self.data = data
  }
}
