/// What a shop wants paid, with every payment, refund and case it ever had: the unit that is loaded, decided about and
/// saved as a whole.
package struct Order: Hashable, Sendable {
  package let id: OrderID
  /// By which providers, and a shop's next try to register it, find it.
  package let number: OrderNumber
  /// What the shop registered. It never changes.
  package let registration: Registration
  /// 128 random bits; whoever shows them may see and pay this one order.
  package let checkoutSecret: UInt128
  package let createdAt: Instant
  /// The deadline. From here on no payment starts, and a live one is closed at its provider. A reopened order has a new
  /// one.
  package internal(set) var expiresAt: Instant

  package internal(set) var status: Status = .open
  package internal(set) var closeReason: CloseReason?
  package internal(set) var paidAt: Instant?
  package internal(set) var closedAt: Instant?
  /// The last instant at which something changed. A command is not decided at an earlier one, unless a wrong clock made
  /// that change; see `moment`.
  package internal(set) var updatedAt: Instant
  /// Counts the changes that can be seen from outside, so that a reader can ask for what is newer than what it has.
  package internal(set) var version: Int = 0
  /// The number of the last event.
  package internal(set) var sequence: Int = 0
  package internal(set) var duplicates = PreventedDuplicates()

  /// Oldest first; the ordinal of the payment at index `n` is `n + 1`.
  package internal(set) var payments: [Payment] = []
  /// Oldest first; the ordinal of the refund at index `n` is `n + 1`.
  package internal(set) var refunds: [Refund] = []
  package internal(set) var cases: [Case] = []

  package enum Status: String, CaseIterable, Hashable, Sendable { case open, closing, paid, closed }
  package enum CloseReason: String, CaseIterable, Hashable, Sendable { case expired, cancelled }

  /// What a shop says when it registers an order.
  package struct Registration: Hashable, Sendable {
    package let merchant: MerchantID
    /// The shop's own number for it, unique per merchant.
    package let reference: String
    package let amount: Money
    package let description: String?
    /// Seconds from registration to the deadline, as the shop asked; `nil` for the schedule's own. What was asked is
    /// kept, so that a repeat is the same content also after the default has changed.
    package let expiresIn: Int64?
    package let latePayment: LatePayment
    /// Where the buyer goes on to from the checkout page: when all is done, and to pay another time or not at all. Either
    /// stands in for the other one.
    package let returnURL: String?
    package let cancelURL: String?
    package let metadata: Fields

    /// What happens to money that arrives when the order was closed by its deadline.
    package enum LatePayment: String, CaseIterable, Hashable, Sendable { case refund, accept }

    package init(
      merchant: MerchantID, reference: String, amount: Money, description: String? = nil, expiresIn: Int64? = nil,
      latePayment: LatePayment = .refund, returnURL: String? = nil, cancelURL: String? = nil,
      metadata: Fields = Fields()
    ) {
      self.merchant = merchant
      self.reference = reference
      self.amount = amount
      self.description = description
      self.expiresIn = expiresIn
      self.latePayment = latePayment
      self.returnURL = returnURL
      self.cancelURL = cancelURL
      self.metadata = metadata
    }
  }

  /// - Parameter defaultLife: the time to its deadline where the shop asked for none.
  package init(
    id: OrderID, number: OrderNumber, registration: Registration, checkoutSecret: UInt128, now: Instant,
    defaultLife: Duration
  ) {
    self.id = id
    self.number = number
    self.registration = registration
    self.checkoutSecret = checkoutSecret
    createdAt = now
    updatedAt = now
    expiresAt = now.advanced(by: registration.expiresIn.map { .seconds($0) } ?? defaultLife)
  }
}

extension Order {
  /// The payment that may still take money with a buyer's next step; an order has at most one.
  package var livePayment: Payment? { payments.last { $0.isLive } }

  /// The payment that the order keeps; an order has at most one.
  package var keptPayment: Payment? { payments.last { $0.isKept } }

  /// Since when it waits for the close of its live payment to be confirmed; `nil` where it does not.
  package var closingSince: Instant? {
    status == .closing ? livePayment?.closeRequestedAt ?? updatedAt : nil
  }

  /// The one to show: the kept payment, else the live one.
  package var currentPayment: Payment? { keptPayment ?? livePayment }

  /// What of the kept payment went back to the buyer, in minor units.
  package var amountRefunded: Int64 { keptPayment.map(refunded) ?? 0 }

  /// What of a payment went back to the buyer, in minor units.
  package func refunded(_ payment: Payment) -> Int64 {
    refunds.lazy.filter { $0.payment == payment.id && $0.status == .succeeded }.reduce(0) { $0 + $1.amount.amount }
  }

  /// The moment at which something is decided about it: `now`, but not before its last change, so that its time does not
  /// run backwards where a node's clock is a little behind. A change that is further ahead than the margin was made by a
  /// wrong clock, and holds nothing back.
  package func moment(_ now: Instant, margin: Duration) -> Instant {
    isAhead(of: now, by: margin) ? now : max(now, updatedAt)
  }

  /// Whether its last change was made by a clock that was wrong.
  func isAhead(of now: Instant, by margin: Duration) -> Bool { updatedAt > now.advanced(by: margin) }

  package func payment(_ id: PaymentID) -> Payment? {
    id.order == self.id && id.ordinal <= payments.count ? payments[id.ordinal - 1] : nil
  }

  package func payment(_ name: PaymentName) -> Payment? {
    switch name {
    case .id(let id): payment(id)
    case .number(let number):
      number.order == self.number ? payment(PaymentID(order: id, ordinal: number.ordinal)) : nil
    }
  }

  func refund(_ name: RefundName) -> Refund? {
    switch name {
    case .id(let id): refund(id)
    case .number(let number, let payment):
      refunds.first { $0.number == number && self.number(of: $0.payment) == payment }
    }
  }

  /// The trade number of one of its payments.
  package func number(of payment: PaymentID) -> PaymentNumber {
    PaymentNumber(order: number, ordinal: payment.ordinal)
  }

  package func refund(_ id: RefundID) -> Refund? {
    id.order == self.id && id.ordinal <= refunds.count ? refunds[id.ordinal - 1] : nil
  }

  /// Whether it could be paid, or changed, at some time between two instants, or was paid since a third.
  package func wasPayable(from start: Instant, to end: Instant, orPaidSince paidSince: Instant) -> Bool {
    createdAt <= end
      && (status == .open || status == .closing || updatedAt >= start || paidAt.map { $0 >= paidSince } ?? false)
  }

  /// What may still be returned of a payment, in minor units: what was received, less what is or may be on its way back.
  package func refundable(_ payment: Payment) -> Int64 {
    guard let received = payment.received else { return 0 }
    return refunds.lazy.filter { $0.payment == payment.id && $0.status != .failed }
      .reduce(received.amount) { $0 - $1.amount.amount }
  }
}
