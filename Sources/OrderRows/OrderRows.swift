package import PaymentCore
package import PaymentEngine

// Both directions: the columns of a row one after the other, as `Columns` names them.

extension Order {
  /// What of an order stands in its own row.
  package struct Head {
    package let order: (_ payments: [Payment], _ refunds: [Refund], _ cases: [Case]) -> Order
    package let id: OrderID
    package let idText: String
    fileprivate let registration: Registration
    package let paymentCount: Int
    package let refundCount: Int
    package let caseCount: Int
  }

  package static func head(_ row: some ResultRow) throws -> Head {
    var columns = ColumnReader(row, table: "orders")
    let idText: String = try columns.next()
    let id = try columns.must(OrderID(text: idText))
    let registration = try Registration(
      merchant: MerchantID(columns.next()), reference: columns.next(), amount: columns.money(),
      description: columns.optional(), expiresIn: columns.optional(), latePayment: columns.word(),
      returnURL: columns.optional(), cancelURL: columns.optional(),
      metadata: columns.must(Fields(text: columns.next())))
    let secret = try columns.must(UInt128(bytes: columns.next()))
    let createdAt = try columns.instant()
    let expiresAt = try columns.instant()
    let status: Status = try columns.word()
    let closeReason: CloseReason? = try columns.optionalWord()
    let (paidAt, closedAt) = (try columns.optionalInstant(), try columns.optionalInstant())
    let updatedAt = try columns.instant()
    let (version, sequence): (Int, Int) = (try columns.next(), try columns.next())
    let duplicates = PreventedDuplicates(
      count: try columns.next(), hashes: try columns.must(Self.hashes(try columns.optional() ?? [])))
    return Head(
      order: {
        Order(
          restored: id, registration: registration, checkoutSecret: secret, createdAt: createdAt,
          expiresAt: expiresAt, status: status, closeReason: closeReason, paidAt: paidAt, closedAt: closedAt,
          updatedAt: updatedAt, version: version, sequence: sequence, duplicates: duplicates, payments: $0,
          refunds: $1, cases: $2)
      }, id: id, idText: idText, registration: registration, paymentCount: try columns.next(),
      refundCount: try columns.next(), caseCount: try columns.next())
  }

  private static func hashes(_ bytes: [UInt8]) -> [UInt64]? {
    guard bytes.count % 8 == 0 else { return nil }
    return stride(from: 0, to: bytes.count, by: 8).map { start in
      bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  package var fixedArguments: Arguments {
    [
      id.text, registration.merchant.text, registration.reference, registration.amount.amount,
      registration.amount.currency.code, registration.description, registration.expiresIn,
      registration.latePayment.rawValue, registration.returnURL, registration.cancelURL, registration.metadata.text,
      checkoutSecret.bytes, createdAt.column,
    ]
  }

  package var changingArguments: Arguments {
    let refused = duplicates.hashes.flatMap { hash in withUnsafeBytes(of: hash.bigEndian) { Array($0) } }
    return [
      expiresAt.column, status.rawValue, closeReason?.rawValue, paidAt?.column, closedAt?.column, updatedAt.column,
      version, sequence,
      duplicates.count, refused.isEmpty ? nil : refused, payments.count, refunds.count, cases.count, wakeAt?.column,
    ]
  }
}

extension WakePlace {
  /// - Parameter head: an order's own row, which need not be one that can be read.
  package init?(_ head: some ResultRow) {
    guard let at = head.integer(at: Columns.orders.all.count - 1), let id = head.text(at: 0) else { return nil }
    self.init(at: at, id: id)
  }
}

extension UnreadableOrder {
  /// - Parameter head: the order's own row, which cannot be read.
  package init(_ head: some ResultRow) {
    self.init(
      id: head.text(at: 0) ?? "", merchant: head.text(at: 1) ?? "", reference: head.text(at: 2) ?? "", table: "orders")
  }

  /// - Parameter table: of a part that cannot be read, or is not there.
  package init(_ head: Order.Head, _ table: String) {
    self.init(
      id: head.idText, merchant: head.registration.merchant.text, reference: head.registration.reference, table: table)
  }
}

extension Payment {
  package init(_ row: some ResultRow, of order: OrderID) throws {
    var columns = ColumnReader(row, table: "payments")
    let _: String = try columns.next()
    let asked = try Payment(
      id: PaymentID(order: order, ordinal: columns.next()), key: columns.must(IdempotencyKey(columns.next())),
      provider: ProviderName(columns.next()), method: columns.next(), askedMethod: columns.optional(),
      amount: columns.money(), createdAt: columns.instant(), expiresAt: columns.instant())
    let status: Status = try columns.word()
    let (surplus, received): (Surplus?, Money?) = (try columns.optionalWord(), try columns.optionalMoney())
    let (capturedAt, unknownSince) = (try columns.optionalInstant(), try columns.optionalInstant())
    let (action, failure) = (try columns.action(), try columns.failure())
    let (reference, closeRequestedAt): (String?, Instant?) = (try columns.optional(), try columns.optionalInstant())
    let watchUntil = try columns.optionalInstant()
    let pending = Pending(unknownSince: unknownSince, decline: failure)
    let state: State? =
      switch (status, action, received, failure) {
      case (.processing, nil, nil, _): .processing(pending)
      case (.requiresAction, let action?, nil, _): .requiresAction(action, pending)
      case (.succeeded, nil, let received?, nil):
        .succeeded(Receipt(received, capturedAt: capturedAt, surplus: surplus))
      case (.failed, nil, nil, let failure?): .failed(failure, watchUntil: watchUntil)
      case (.closed, nil, nil, nil): .closed(watchUntil: watchUntil)
      default: nil
      }
    self = Payment(
      restored: asked, state: try columns.must(state), providerReference: reference,
      closeRequestedAt: closeRequestedAt, updatedAt: try columns.instant(), calls: try columns.calls())
    // What does not belong to this state would be lost at the next change.
    guard self.surplus == surplus, self.capturedAt == capturedAt, self.unknownSince == unknownSince,
      self.watchUntil == watchUntil
    else { throw columns.unreadable }
  }

  package var fixedArguments: Arguments {
    [
      id.order.text, id.ordinal, key.text, provider.text, method, askedMethod, amount.amount,
      amount.currency.code, createdAt.column, expiresAt.column,
    ]
  }

  package var changingArguments: Arguments {
    [
      status.rawValue, surplus?.rawValue, received?.amount, received?.currency.code, capturedAt?.column,
      unknownSince?.column,
      action?.kind, action?.value, failure?.code, failure?.message, providerReference, closeRequestedAt?.column,
      watchUntil?.column, updatedAt.column,
    ] + calls.arguments
  }
}

extension ColumnReader {
  /// An action of a kind that only a newer release knows makes its row unreadable.
  fileprivate mutating func action() throws -> NextAction? {
    let (kind, value): (String?, String?) = (try optional(), try optional())
    switch (kind, value) {
    case (nil, nil): return nil
    case ("redirect", let url?): return .redirect(url: url)
    case ("qr_code", let content?): return .qrCode(content: content)
    case ("client_secret", let secret?): return .clientSecret(secret)
    default: throw unreadable
    }
  }
}

extension NextAction {
  fileprivate var kind: String {
    switch self {
    case .redirect: "redirect"
    case .qrCode: "qr_code"
    case .clientSecret: "client_secret"
    }
  }

  fileprivate var value: String {
    switch self {
    case .redirect(let url): url
    case .qrCode(let content): content
    case .clientSecret(let secret): secret
    }
  }
}

extension Refund {
  package init(_ row: some ResultRow, of order: OrderID) throws {
    var columns = ColumnReader(row, table: "refunds")
    let _: String = try columns.next()
    let id = RefundID(order: order, ordinal: try columns.next())
    let payment = PaymentID(order: order, ordinal: try columns.next())
    let key: IdempotencyKey? = try (columns.optional() as String?).map { try columns.must(IdempotencyKey($0)) }
    let currency = try columns.must(Currency(code: try columns.next()))
    let wanted: Int64? = try columns.optional()
    let cause: Cause = try columns.word()
    let reason: String? = try columns.optional()
    let createdAt = try columns.instant()
    let amount = Money(try columns.next(), currency)
    let asked = Refund(
      id: id, payment: payment, key: key, amount: amount, asked: wanted, cause: cause, reason: reason,
      createdAt: createdAt)
    let status: Status = try columns.word()
    let (unknownSince, failure) = (try columns.optionalInstant(), try columns.failure())
    let state: State? =
      switch (status, unknownSince, failure) {
      case (.processing, _, _): .processing(unknownSince: unknownSince, refusal: failure)
      case (.succeeded, nil, nil): .succeeded
      case (.failed, nil, let failure?): .failed(failure)
      default: nil
      }
    self = Refund(
      restored: asked, state: try columns.must(state), providerReference: try columns.optional(),
      updatedAt: try columns.instant(), calls: try columns.calls())
  }

  package var fixedArguments: Arguments {
    [
      id.order.text, id.ordinal, payment.ordinal, key?.text, amount.currency.code, asked, cause.rawValue, reason,
      createdAt.column,
    ]
  }

  package var changingArguments: Arguments {
    [
      amount.amount, status.rawValue, unknownSince?.column, failure?.code, failure?.message, providerReference,
      updatedAt.column,
    ] + calls.arguments
  }
}

extension Case {
  package init(_ row: some ResultRow, of order: OrderID) throws {
    var columns = ColumnReader(row, table: "cases")
    let _: String = try columns.next()
    let id = CaseID(order: order, ordinal: try columns.next())
    self = try Case(
      restored: id, reason: columns.word(),
      payment: (columns.optional() as Int?).map { PaymentID(order: order, ordinal: $0) },
      refund: (columns.optional() as Int?).map { RefundID(order: order, ordinal: $0) },
      provider: ProviderName(columns.next()), amount: columns.money(), note: columns.next(),
      openedAt: columns.instant(), resolvedAt: columns.optionalInstant(), choice: columns.optionalWord())
  }

  package var fixedArguments: Arguments {
    [
      id.order.text, id.ordinal, reason.rawValue, payment?.ordinal, refund?.ordinal, provider.text, amount.amount,
      amount.currency.code, note, openedAt.column,
    ]
  }

  package var changingArguments: Arguments { [resolvedAt?.column, choice?.rawValue] }
}

extension Event {
  package init(_ row: some ResultRow) throws {
    var columns = ColumnReader(row, table: "events")
    let order = try columns.must(OrderID(text: columns.next()))
    let sequence: Int = try columns.next()
    let _: String = try columns.next()
    self = try Event(
      id: EventID(order: order, sequence: sequence), type: columns.word(), at: columns.instant(),
      data: columns.must(Fields(text: columns.next())))
  }

  package func arguments(of order: Order) -> Arguments {
    [
      order.id.text, id.sequence, order.registration.merchant.text, type.rawValue, at.column, data.text,
    ]
  }
}

extension UInt128 {
  fileprivate init?(bytes: [UInt8]) {
    guard bytes.count == 16 else { return nil }
    self = bytes.reduce(0) { $0 << 8 | UInt128($1) }
  }

  fileprivate var bytes: [UInt8] { (0..<16).reversed().map { UInt8(truncatingIfNeeded: self >> UInt128(8 * $0)) } }
}

extension Instant {
  package var column: Int64 { milliseconds }
}

extension CallState {
  fileprivate var arguments: Arguments {
    [
      nextAt?.column, lease?.kind.rawValue, lease?.number, lease?.askedAt.column, lease?.until.column, made, step,
      firstSent?.number, firstSent?.at.column, last?.kind.rawValue, last?.at.column, last?.finding.rawValue,
      answeredAskAt?.column, movingUntil?.column,
    ]
  }
}

/// A part of an order with a row of its own, found by the order and the part's ordinal.
package protocol PartRow: Equatable {
  static var table: OrderTable { get }
  init(_ row: some ResultRow, of order: OrderID) throws
  var fixedArguments: Arguments { get }
  var changingArguments: Arguments { get }
}

extension Payment: PartRow { package static var table: OrderTable { .payments } }
extension Refund: PartRow { package static var table: OrderTable { .refunds } }
extension Case: PartRow { package static var table: OrderTable { .cases } }

/// A row to write.
package enum RowChange {
  /// The fixed columns, then the changing ones.
  case insert(OrderTable, Arguments)
  /// The changing columns, then the key.
  case update(OrderTable, Arguments)
}

extension Changeset {
  /// Hands over the rows that differ. An order comes before its parts, and its payments that ended before those that
  /// began, as the guards want it. Strays and the probe are left to the store.
  package func rows(_ write: (RowChange) throws -> Void) rethrows {
    for change in orders {
      let (before, after) = (change.before, change.after)
      try write(
        before == nil
          ? .insert(.orders, after.fixedArguments + after.changingArguments)
          : .update(.orders, after.changingArguments + [after.id.text]))
      try parts(before?.payments, after.payments, after.id, write)
      try parts(before?.refunds, after.refunds, after.id, write)
      try parts(before?.cases, after.cases, after.id, write)
    }
    for (order, event) in events { try write(.insert(.events, event.arguments(of: order))) }
  }

  /// The rows of cases without an order that are new: the fixed columns, then the changing ones.
  package var newStrays: [Arguments] {
    strays.filter { $0.resolvedAt == nil }.map { $0.fixedArguments + $0.changingArguments }
  }

  /// The rows of those that were resolved: the changing columns, then the key.
  package var resolvedStrays: [Arguments] {
    strays.filter { $0.resolvedAt != nil }.map { $0.changingArguments + [$0.id.order.text, $0.id.ordinal] }
  }

  private func parts<Part: PartRow>(
    _ before: [Part]?, _ after: [Part], _ order: OrderID, _ write: (RowChange) throws -> Void
  ) rethrows {
    for (index, part) in after.enumerated() {
      if let before, index < before.count {
        guard before[index] != part else { continue }
        try write(.update(Part.table, part.changingArguments + [order.text, index + 1]))
      } else {
        try write(.insert(Part.table, part.fixedArguments + part.changingArguments))
      }
    }
  }
}
