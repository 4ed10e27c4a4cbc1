package import PaymentCore

/// An error as callers read it: `application/problem+json` (RFC 9457).
package struct Problem: Sendable {
  package let status: Int
  package let code: String
  package let title: String
  package let detail: String
  package let errors: [Refusal.FieldError]
  package let payment: PaymentView?
  /// All refunds of the payment, when the caller's `expected_refunded` was wrong.
  package let refunds: [Refund]
  /// What is left of the order, where it was moved into an archive.
  package let archived: ArchivedOrder?
  /// From where a feed can be read on.
  package let next: String?
  /// The number of seconds after which the same request may be granted.
  package let retryAfter: Int64?

  private init(
    _ status: Int, _ code: String, _ title: String, _ detail: String, errors: [Refusal.FieldError] = [],
    payment: PaymentView? = nil, refunds: [Refund] = [], archived: ArchivedOrder? = nil, next: String? = nil,
    retryAfter: Int64? = nil
  ) {
    self.status = status
    self.code = code
    self.title = title
    self.detail = detail
    self.errors = errors
    self.payment = payment
    self.refunds = refunds
    self.archived = archived
    self.next = next
    self.retryAfter = retryAfter
  }

  package init(_ refusal: Refusal) {
    self.init(
      // A caller that only has to wait gets 429.
      refusal.retryAfter == nil ? refusal.code.status : 429, refusal.code.rawValue, refusal.code.title, refusal.detail,
      errors: refusal.errors, payment: refusal.payment, refunds: refusal.refunds, archived: refusal.archived,
      retryAfter: refusal.retryAfter)
  }

  package static let methodNotAllowed = Problem(
    405, "method_not_allowed", "Method not allowed", "This resource does not have this method; see the Allow header.")
  package static func tooLarge(limit: Int) -> Problem {
    Problem(413, "content_too_large", "Content too large", "The body of a request is at most \(limit) bytes.")
  }
  package static let timeout = Problem(
    408, "request_timeout", "Request timeout", "The body of the request did not arrive in time.")
  package static let malformed = Problem(400, "bad_request", "Bad request", "The request is not valid HTTP.")
  package static func eventsArchived(to end: Int64) -> Problem {
    Problem(
      410, "events_archived", "Events archived",
      "The events up to \(end) are old, and are not in the feed any more. Go on with after=\(end). Orders that are here have "
        + "theirs at /v1/orders/{id}/events; those of archived ones went with them.", next: String(end))
  }
  package static let internalError = Problem(
    500, "internal_error", "Internal error", "Something broke here. The same request can be sent again.")
  package static let unavailable = Problem(
    503, "unavailable", "Unavailable",
    "The store cannot be reached at the moment. Nothing is known to have changed. Send the same request again later.")
  package static let clockWrong = Problem(
    503, "clock_wrong", "Clock wrong",
    "The clock of this server is wrong, and it decides nothing until that is mended. Nothing was changed. Send the same "
      + "request again later.")
  package static let overloaded = Problem(
    503, "overloaded", "Overloaded", "Too much is under way. Nothing was changed. Send the same request again later.")

  package var json: [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      writer.string("type", "urn:payonce:problem:\(code)")
      writer.string("title", title)
      writer.integer("status", Int64(status))
      writer.string("detail", detail)
      writer.string("code", code)
      if status == 400 {
        writer.array("errors") { writer in
          for error in errors {
            writer.object {
              $0.string("field", error.field)
              $0.string("message", error.message)
            }
          }
        }
      }
      if let payment { writer.object("payment") { Rendering.payment(payment, into: &$0) } }
      if let archived {
        writer.object("order") { writer in
          writer.string("id", archived.id.text)
          writer.string("status", archived.status.rawValue)
          writer.instant("archived_at", archived.archivedAt)
        }
      }
      if let next { writer.string("next", next) }
      if code == RefusalCode.refundStateChanged.rawValue {
        writer.array("refunds") { writer in
          for refund in refunds { writer.object { Rendering.refund(refund, into: &$0) } }
        }
      }
    }
    return writer.bytes
  }
}

extension RefusalCode {
  package var status: Int {
    switch self {
    case .unauthorized: 401
    case .notFound: 404
    case .orderArchived: 410
    case .idempotencyKeyMissing, .idempotencyKeyInvalid, .invalidRequest: 400
    case .referenceReused, .orderPaid, .orderClosed, .paymentInProgress, .tooManyPayments, .paymentNotRefundable,
      .refundStateChanged:
      409
    case .amountNotSupported, .idempotencyKeyReused, .refundExceedsPayment, .providerNotEnabled: 422
    }
  }

  package var title: String {
    switch self {
    case .unauthorized: "Unauthorized"
    case .notFound: "Not found"
    case .orderArchived: "Order archived"
    case .idempotencyKeyMissing: "Idempotency key missing"
    case .idempotencyKeyInvalid: "Idempotency key invalid"
    case .invalidRequest: "Invalid request"
    case .amountNotSupported: "Amount not supported"
    case .idempotencyKeyReused: "Idempotency key reused"
    case .referenceReused: "Reference reused"
    case .orderPaid: "Order paid"
    case .orderClosed: "Order closed"
    case .paymentInProgress: "Payment in progress"
    case .tooManyPayments: "Too many payments"
    case .paymentNotRefundable: "Payment not refundable"
    case .refundStateChanged: "Refund state changed"
    case .refundExceedsPayment: "Refund exceeds payment"
    case .providerNotEnabled: "Provider not enabled"
    }
  }
}
