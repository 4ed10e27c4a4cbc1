package import PaymentCore

// The messages of which an order's state consists, field by field. `docs/reference/order-row.proto` says the same to other
// programs.

package enum OrderField: Int, StateField {
  case format = 1
  case createdAt, updatedAt, expiresAt, checkoutSecret, description, expiresIn, latePayment, returnURL, cancelURL,
    metadata, closeReason, paidAt, closedAt, sequence, duplicatesPrevented, refusedKeys, payments, refunds, cases, parts

  package static let repeated = OrderField.payments.rawValue...OrderField.cases.rawValue

  package var form: StateForm {
    switch self {
    case .format, .expiresIn, .sequence, .duplicatesPrevented, .parts: .integer
    case .createdAt: .moment
    case .updatedAt, .expiresAt, .paidAt, .closedAt: .instant
    case .description, .returnURL, .cancelURL: .text
    case .metadata: .fields
    case .checkoutSecret, .refusedKeys: .bytes
    case .latePayment: .word(Order.Registration.LatePayment.self)
    case .closeReason: .word(Order.CloseReason.self)
    case .payments: .messages(PaymentField.self)
    case .refunds: .messages(RefundField.self)
    case .cases: .messages(CaseField.self)
    }
  }
}

package enum PaymentField: Int, StateField {
  case key = 1
  case provider, method, askedMethod, amount, currency, createdAt, expiresAt, status, updatedAt, surplus,
    amountReceived, currencyReceived, capturedAt, unknownSince, redirect, qrCode, clientSecret, failureCode,
    failureMessage, providerReference, closeRequestedAt, watchUntil, calls

  package var form: StateForm {
    switch self {
    case .amount, .amountReceived: .integer
    case .createdAt, .expiresAt, .updatedAt, .capturedAt, .unknownSince, .closeRequestedAt, .watchUntil: .instant
    case .key, .provider, .method, .askedMethod, .currency, .currencyReceived, .redirect, .qrCode, .clientSecret,
      .failureCode, .failureMessage, .providerReference:
      .text
    case .status: .word(Payment.Status.self)
    case .surplus: .word(Payment.Surplus.self)
    case .calls: .message(CallsField.self)
    }
  }
}

package enum RefundField: Int, StateField {
  case payment = 1
  case key, amount, currency, asked, cause, reason, createdAt, status, updatedAt, unknownSince, failureCode,
    failureMessage, providerReference, calls, failureBasis, number

  package var form: StateForm {
    switch self {
    case .payment, .amount, .asked: .integer
    case .createdAt, .updatedAt, .unknownSince: .instant
    case .key, .currency, .reason, .failureCode, .failureMessage, .providerReference: .text
    case .cause: .word(Refund.Cause.self)
    case .status: .word(Refund.Status.self)
    case .failureBasis: .word(Refund.FailureBasis.self)
    case .number: .bytes
    case .calls: .message(CallsField.self)
    }
  }
}

package enum CaseField: Int, StateField {
  case reason = 1
  case payment, refund, provider, amount, currency, note, openedAt, resolvedAt, choice, resolvedBy, resolvedNote

  package var form: StateForm {
    switch self {
    case .payment, .refund, .amount: .integer
    case .openedAt, .resolvedAt: .instant
    case .provider, .currency, .note, .resolvedBy, .resolvedNote: .text
    case .reason: .word(Case.Reason.self)
    case .choice: .word(Case.Choice.self)
    }
  }
}

/// A case of money that came for an order which is not stored.
package enum StrayField: Int, StateField {
  case format = 1
  case item

  package var form: StateForm {
    switch self {
    case .format: .integer
    case .item: .message(CaseField.self)
    }
  }
}

package enum CallsField: Int, StateField {
  case nextAt = 1
  case leaseKind, leaseNumber, leaseAskedAt, leaseUntil, made, step, firstSentCall, firstSentAt, lastKind, lastAt,
    lastFinding, answeredAskAt, movingUntil

  package var form: StateForm {
    switch self {
    case .leaseNumber, .made, .step, .firstSentCall: .integer
    case .nextAt, .leaseAskedAt, .leaseUntil, .firstSentAt, .lastAt, .answeredAskAt, .movingUntil: .instant
    case .leaseKind, .lastKind: .word(Call.Kind.self)
    case .lastFinding: .word(CallState.Finding.self)
    }
  }
}

/// What one command of one order made, in a row of its own.
package enum EventsField: Int, StateField {
  case format = 1
  case at, events

  package static let repeated = EventsField.events.rawValue...EventsField.events.rawValue

  package var form: StateForm {
    switch self {
    case .format: .integer
    case .at: .moment
    case .events: .messages(EventField.self)
    }
  }
}

package enum EventField: Int, StateField {
  case type = 1
  case at, data

  package static let repeated = EventField.data.rawValue...EventField.data.rawValue

  package var form: StateForm {
    switch self {
    case .type: .word(Event.Kind.self)
    case .at: .instant
    case .data: .messages(EventDataField.self)
    }
  }
}

/// What a commit adds to a merchant's feed.
package enum FeedField: Int, StateField {
  case format = 1
  case spans

  package static let repeated = FeedField.spans.rawValue...FeedField.spans.rawValue

  package var form: StateForm { self == .format ? .integer : .messages(SpanField.self) }
}

package enum SpanField: Int, StateField {
  case order = 1
  case first, count

  package var form: StateForm { self == .order ? .bytes : .integer }
}

/// One entry of an event's data: its name, or the number of a name that is often used; and its value, `null` where none
/// stands.
package enum EventDataField: Int, StateField {
  case name = 1
  case knownName, text, integer, payment, refund, item

  package var form: StateForm {
    switch self {
    case .knownName: .word(EventDataName.self)
    case .name, .text: .text
    case .integer, .payment, .refund, .item: .integer
    }
  }
}

package enum EventDataName: String, StateWord {
  case reference, amount, currency, payment, provider, method, refund, surplus, code, message, reason
  case amountReceived = "amount_received"
  case currencyReceived = "currency_received"
  case closeReason = "close_reason"
  case idempotencyKey = "idempotency_key"
  case expiresIn = "expires_in"

  package static let words: [EventDataName] = [
    .reference, .amount, .currency, .payment, .provider, .method, .refund, .surplus, .code, .message, .reason,
    .amountReceived, .currencyReceived, .closeReason, .idempotencyKey, .expiresIn,
  ]
  static let numbers = Dictionary(uniqueKeysWithValues: words.enumerated().map { ($1.rawValue, $0) })
}

// MARK: Words, by their numbers

extension Order.Registration.LatePayment: StateWord { package static let words: [Self] = [.refund, .accept] }

extension Order.CloseReason: StateWord { package static let words: [Self] = [.expired, .cancelled] }

extension Payment.Status: StateWord {
  package static let words: [Self] = [.processing, .requiresAction, .succeeded, .failed, .closed]
}

extension Payment.Surplus: StateWord { package static let words: [Self] = [.mismatch, .duplicate, .late] }

extension Refund.Status: StateWord { package static let words: [Self] = [.processing, .succeeded, .failed] }

extension Refund.FailureBasis: StateWord {
  package static let words: [Self] = [.proven, .refused, .notFound, .settled]
}

extension Refund.Cause: StateWord { package static let words: [Self] = [.requested, .surplus] }

extension Case.Reason: StateWord {
  package static let words: [Self] = [
    .unknownPayment, .wrongAmount, .refundRefused, .refundFailed, .disputed, .archivedOrder, .unresolved,
  ]
}

extension Case.Choice: StateWord {
  package static let words: [Self] = [.retry, .newRefund, .settledOutside, .acknowledge]
}

extension Call.Kind: StateWord { package static let words: [Self] = [.charge, .query, .close, .refund, .queryRefund] }

extension CallState.Finding: StateWord {
  package static let words: [Self] = [.found, .pending, .notFound, .refused, .unanswered]
}

extension Event.Kind: StateWord {
  package static let words: [Self] = [
    .orderCreated, .orderPaid, .orderClosing, .orderClosed, .orderReopened, .paymentStarted, .paymentRequiresAction,
    .paymentUnknown, .paymentSucceeded, .paymentFailed, .paymentClosed, .paymentSurplus, .paymentThrottled,
    .refundStarted, .refundSucceeded, .refundFailed, .caseOpened, .caseResolved, .duplicatePrevented,
  ]
}
