/// One try to pay an order through one provider and method.
package struct Payment: Hashable, Sendable {
  /// Also the provider's idempotency key or trade number.
  package let id: PaymentID
  /// The key of the request that made it; unique within the order.
  package let key: IdempotencyKey
  package let provider: ProviderName
  package let method: String
  /// The method that was asked for; `nil` when none was named and the provider's first one was meant at that time.
  package let askedMethod: String?
  /// What the provider is asked to take.
  package let amount: Money
  package let createdAt: Instant
  /// When it is closed at the provider if the buyer has not paid by then.
  package let expiresAt: Instant

  package internal(set) var status: Status = .processing
  package internal(set) var surplus: Surplus?
  /// What the provider says it took.
  package internal(set) var received: Money?
  /// When the provider took it, by its own clock and word; `nil` when it does not say. Nothing is decided by it.
  package internal(set) var capturedAt: Instant?
  /// Since when nobody knows whether the provider acted; `nil` when its state is known.
  package internal(set) var unknownSince: Instant?
  /// What the buyer has to do next. Shown only by `nextAction`, since it is over once a close was asked for.
  package internal(set) var action: NextAction?
  package internal(set) var failure: Failure?
  package internal(set) var providerReference: String?
  package internal(set) var closeRequestedAt: Instant?
  /// Until when an ended payment is asked about, since its provider may still take money for it.
  package internal(set) var watchUntil: Instant?
  package internal(set) var updatedAt: Instant
  package internal(set) var calls: CallState

  package enum Status: String, CaseIterable, Hashable, Sendable {
    case processing
    case requiresAction = "requires_action"
    case succeeded, failed, closed
  }

  /// Why the order does not keep this money.
  package enum Surplus: String, CaseIterable, Hashable, Sendable { case mismatch, duplicate, late }

  package init(
    id: PaymentID, key: IdempotencyKey, provider: ProviderName, method: String, askedMethod: String?, amount: Money,
    createdAt: Instant, expiresAt: Instant
  ) {
    self.id = id
    self.key = key
    self.provider = provider
    self.method = method
    self.askedMethod = askedMethod
    self.amount = amount
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    updatedAt = createdAt
    calls = CallState(nextAt: createdAt)
  }
}

/// What the buyer has to do for a payment to go on.
package enum NextAction: Hashable, Sendable {
  /// Go to this page of the provider.
  case redirect(url: String)
  /// Scan a QR code with this content.
  case qrCode(content: String)
  /// Confirm with the provider's own script and this secret.
  case clientSecret(String)
}

/// Why a provider did not take the money.
package struct Failure: Hashable, Sendable {
  package let code: String
  package let message: String
  package init(code: String, message: String) {
    self.code = code
    self.message = message
  }
}

extension Payment {
  /// Processing, or waiting for the buyer: whether or not its close was asked for.
  package var isLive: Bool { status == .processing || status == .requiresAction }

  /// It ended, but its provider may still take money for it.
  package var isWatched: Bool { !isLive && status != .succeeded && watchUntil != nil }

  /// It succeeded and the order keeps it.
  package var isKept: Bool { status == .succeeded && surplus == nil }

  /// Whether an attempt of its charge may have reached the provider.
  package var mayHaveLeft: Bool { calls.firstSent != nil }

  /// When its provider is asked about it next; `nil` while it is being asked. Beyond a call's time-out nobody asks any more,
  /// whoever took the lease: the next one does when it lapses.
  package func nextCheckAt(_ now: Instant, _ schedule: Schedule) -> Instant? {
    guard let lease = calls.lease else { return calls.nextAt }
    return now < lease.askedAt.advanced(by: schedule.callTimeout) ? nil : lease.until
  }

  /// What the buyer has to do next, while that is of any use.
  package var nextAction: NextAction? { status == .requiresAction && closeRequestedAt == nil ? action : nil }
}
