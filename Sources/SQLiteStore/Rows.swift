import FoundationEssentials
import GRDB
import PaymentCore
import PaymentEngine

/// A row that does not say what the schema promises: the file was written by something else.
struct UnreadableRow: Error { let table: String }

// MARK: - Columns to values

/// Reads the columns of a row one after the other. Both directions name the columns once, in `Columns`.
struct ColumnReader {
  private let row: SQLiteStatement
  private var index: Int32 = 0
  private let table: String

  init(_ row: SQLiteStatement, table: String) {
    self.row = row
    self.table = table
  }

  mutating func next<Value: Column>() throws -> Value { try must(optional()) }

  mutating func optional<Value: Column>() -> Value? {
    defer { index += 1 }
    return Value.read(row, at: index)
  }

  mutating func instant() throws -> Instant { Instant(milliseconds: try next()) }

  mutating func optionalInstant() -> Instant? { (optional() as Int64?).map(Instant.init(milliseconds:)) }

  mutating func word<Word: RawRepresentable<String>>() throws -> Word { try must(Word(rawValue: try next())) }

  mutating func optionalWord<Word: RawRepresentable<String>>() throws -> Word? {
    guard let text: String = optional() else { return nil }
    return try must(Word(rawValue: text))
  }

  mutating func money() throws -> Money {
    let amount: Int64 = try next()
    return Money(amount, try must(Currency(code: try next())))
  }

  mutating func optionalMoney() throws -> Money? {
    let amount: Int64? = optional()
    let code: String? = optional()
    guard let amount, let code else { return nil }
    return Money(amount, try must(Currency(code: code)))
  }

  mutating func failure() -> Failure? {
    let code: String? = optional()
    let message: String? = optional()
    return code.map { Failure(code: $0, message: message ?? "") }
  }

  mutating func calls() throws -> CallState {
    var calls = CallState(nextAt: optionalInstant())
    let kind: Call.Kind? = try optionalWord()
    let number: Int? = optional()
    let (askedAt, until) = (optionalInstant(), optionalInstant())
    if let kind, let number, let askedAt, let until {
      calls.lease = CallState.Lease(kind: kind, number: number, askedAt: askedAt, until: until)
    }
    calls.made = try next()
    calls.step = try next()
    let (firstCall, firstAt): (Int?, Instant?) = (optional(), optionalInstant())
    if let firstCall, let firstAt { calls.firstSent = CallState.Sent(number: firstCall, at: firstAt) }
    let lastKind: Call.Kind? = try optionalWord()
    let lastAt = optionalInstant()
    let finding: CallState.Finding? = try optionalWord()
    if let lastKind, let lastAt, let finding {
      calls.last = CallState.Finished(kind: lastKind, at: lastAt, finding: finding)
    }
    calls.answeredAskAt = optionalInstant()
    return calls
  }

  func must<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw UnreadableRow(table: table) }
    return value
  }
}

// MARK: - Values to columns

extension Instant {
  var column: Int64 { milliseconds }
}

extension CallState {
  static let columns = """
    next_at, call_kind, call_number, call_asked_at, call_until, calls_made, step, first_sent_call, \
    first_sent_at, last_call_kind, last_call_at, last_call_finding, answered_ask_at
    """

  var arguments: Arguments {
    [
      nextAt?.column, lease?.kind.rawValue, lease?.number, lease?.askedAt.column, lease?.until.column, made, step,
      firstSent?.number, firstSent?.at.column, last?.kind.rawValue, last?.at.column, last?.finding.rawValue,
      answeredAskAt?.column,
    ]
  }
}

/// The columns of a table: those that never change after the insert, and those that do.
struct Columns {
  let table: String
  let fixed: [String]
  let changing: [String]
  /// How many of the fixed columns are the key.
  let keys: Int

  init(_ table: String, keys: Int, fixed: String, changing: String) {
    func names(_ text: String) -> [String] { text.split(whereSeparator: { ", \n".contains($0) }).map(String.init) }
    self.table = table
    self.keys = keys
    self.fixed = names(fixed)
    self.changing = names(changing)
    let all = self.fixed + self.changing
    list = all.joined(separator: ", ")
    count = Int32(all.count)
    insert = "INSERT INTO \(table) (\(list)) VALUES (\(all.map { _ in "?" }.joined(separator: ", ")))"
    let assignments = self.changing.map { "\($0) = ?" }.joined(separator: ", ")
    let condition = self.fixed.prefix(keys).map { "\($0) = ?" }.joined(separator: " AND ")
    update = "UPDATE \(table) SET \(assignments) WHERE \(condition)"
    select = "SELECT \(list) FROM \(table) WHERE order_id = ? ORDER BY ordinal"
  }

  let list: String
  let count: Int32
  let insert: String
  let update: String
  /// The rows of one order.
  let select: String
}

extension Columns {
  static let orders = Columns(
    "orders", keys: 1,
    fixed: """
      id, merchant, reference, amount, currency, description, expires_in, late_payment, return_url, metadata,
      checkout_secret, created_at, expires_at
      """,
    changing: """
      status, close_reason, paid_at, closed_at, updated_at, version, sequence, duplicates_prevented, refused_keys,
      payment_count, refund_count, case_count, wake_at
      """)

  static let payments = Columns(
    "payments", keys: 2,
    fixed: "order_id, ordinal, key, provider, method, amount, currency, created_at, expires_at",
    changing: """
      status, surplus, amount_received, currency_received, unknown_since, action, action_value, failure_code,
      failure_message, provider_reference, close_requested_at, watch_until, updated_at, \(CallState.columns)
      """)

  static let refunds = Columns(
    "refunds", keys: 2,
    fixed: "order_id, ordinal, payment, key, currency, asked, cause, reason, created_at",
    changing: """
      amount, status, unknown_since, failure_code, failure_message, provider_reference, updated_at,
      \(CallState.columns)
      """)

  static let cases = Columns(
    "cases", keys: 2,
    fixed: "order_id, ordinal, reason, payment, refund, provider, amount, currency, note, opened_at",
    changing: "resolved_at, choice")

  static let events = Columns(
    "events", keys: 0, fixed: "order_id, sequence, merchant, type, at, data", changing: "")

  /// The next position of the merchant's feed is found by the insert itself: there is one writer.
  static let insertEvent = """
    INSERT INTO events (\(events.list), position)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT coalesce(max(position), 0) + 1 FROM events WHERE merchant = ?3))
    """
}

extension Order {
  /// What of an order stands in its own row.
  struct Head {
    let order: (_ payments: [Payment], _ refunds: [Refund], _ cases: [Case]) -> Order
    let id: OrderID
    let idText: String
    let paymentCount: Int
    let refundCount: Int
    let caseCount: Int
  }

  static func head(_ row: SQLiteStatement) throws -> Head {
    var columns = ColumnReader(row, table: "orders")
    let idText: String = try columns.next()
    let id = try columns.must(OrderID(text: idText))
    let registration = try Registration(
      merchant: MerchantID(columns.next()), reference: columns.next(), amount: columns.money(),
      description: columns.optional(), expiresIn: columns.next(), latePayment: columns.word(),
      returnURL: columns.optional(), metadata: columns.must(Fields(text: columns.next())))
    let secret = try columns.must(UInt128(bytes: columns.next()))
    let (createdAt, expiresAt) = (try columns.instant(), try columns.instant())
    let status: Status = try columns.word()
    let closeReason: CloseReason? = try columns.optionalWord()
    let (paidAt, closedAt) = (columns.optionalInstant(), columns.optionalInstant())
    let updatedAt = try columns.instant()
    let (version, sequence): (Int, Int) = (try columns.next(), try columns.next())
    let duplicates = PreventedDuplicates(
      count: try columns.next(), hashes: (columns.optional() as Data?).map(Self.hashes) ?? [])
    return Head(
      order: {
        Order(
          restored: id, registration: registration, checkoutSecret: secret, createdAt: createdAt,
          expiresAt: expiresAt, status: status, closeReason: closeReason, paidAt: paidAt, closedAt: closedAt,
          updatedAt: updatedAt, version: version, sequence: sequence, duplicates: duplicates, payments: $0,
          refunds: $1, cases: $2)
      }, id: id, idText: idText, paymentCount: try columns.next(), refundCount: try columns.next(),
      caseCount: try columns.next())
  }

  private static func hashes(_ data: Data) -> [UInt64] {
    let bytes = Array(data)
    return stride(from: 0, to: bytes.count - bytes.count % 8, by: 8).map { start in
      bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  var fixedArguments: Arguments {
    [
      id.text, registration.merchant.text, registration.reference, registration.amount.amount,
      registration.amount.currency.code, registration.description, registration.expiresIn,
      registration.latePayment.rawValue, registration.returnURL, registration.metadata.text,
      checkoutSecret.data, createdAt.column, expiresAt.column,
    ]
  }

  var changingArguments: Arguments {
    var refused: Data?
    if !duplicates.hashes.isEmpty {
      refused = Data()
      for hash in duplicates.hashes { withUnsafeBytes(of: hash.bigEndian) { refused?.append(contentsOf: $0) } }
    }
    return [
      status.rawValue, closeReason?.rawValue, paidAt?.column, closedAt?.column, updatedAt.column, version, sequence,
      duplicates.count, refused, payments.count, refunds.count, cases.count, wakeAt?.column,
    ]
  }
}

extension Payment {
  init(_ row: SQLiteStatement, of order: OrderID) throws {
    var columns = ColumnReader(row, table: "payments")
    let _: String = try columns.next()
    self = try Payment(
      restored: PaymentID(order: order, ordinal: columns.next()), key: columns.must(IdempotencyKey(columns.next())),
      provider: ProviderName(columns.next()), method: columns.next(), amount: columns.money(),
      createdAt: columns.instant(), expiresAt: columns.instant(), status: columns.word(),
      surplus: columns.optionalWord(), received: columns.optionalMoney(), unknownSince: columns.optionalInstant(),
      action: NextAction(kind: columns.optional(), value: columns.optional()), failure: columns.failure(),
      providerReference: columns.optional(), closeRequestedAt: columns.optionalInstant(),
      watchUntil: columns.optionalInstant(), updatedAt: columns.instant(), calls: columns.calls())
  }

  var fixedArguments: Arguments {
    [
      id.order.text, id.ordinal, key.text, provider.text, method, amount.amount, amount.currency.code,
      createdAt.column, expiresAt.column,
    ]
  }

  var changingArguments: Arguments {
    [
      status.rawValue, surplus?.rawValue, received?.amount, received?.currency.code, unknownSince?.column,
      action?.kind, action?.value, failure?.code, failure?.message, providerReference, closeRequestedAt?.column,
      watchUntil?.column, updatedAt.column,
    ] + calls.arguments
  }
}

extension NextAction {
  fileprivate init?(kind: String?, value: String?) {
    switch (kind, value) {
    case ("redirect", let url?): self = .redirect(url: url)
    case ("qr_code", let content?): self = .qrCode(content: content)
    case ("client_secret", let secret?): self = .clientSecret(secret)
    default: return nil
    }
  }

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
  init(_ row: SQLiteStatement, of order: OrderID) throws {
    var columns = ColumnReader(row, table: "refunds")
    let _: String = try columns.next()
    let id = RefundID(order: order, ordinal: try columns.next())
    let payment = PaymentID(order: order, ordinal: try columns.next())
    let key: IdempotencyKey? = (columns.optional() as String?).flatMap { IdempotencyKey($0) }
    let currency = try columns.must(Currency(code: try columns.next()))
    let asked: Int64? = columns.optional()
    let cause: Cause = try columns.word()
    let reason: String? = columns.optional()
    let createdAt = try columns.instant()
    let amount = Money(try columns.next(), currency)
    self = try Refund(
      restored: id, payment: payment, key: key, amount: amount, asked: asked, cause: cause, reason: reason,
      createdAt: createdAt, status: columns.word(), unknownSince: columns.optionalInstant(),
      failure: columns.failure(), providerReference: columns.optional(), updatedAt: columns.instant(),
      calls: columns.calls())
  }

  var fixedArguments: Arguments {
    [
      id.order.text, id.ordinal, payment.ordinal, key?.text, amount.currency.code, asked, cause.rawValue, reason,
      createdAt.column,
    ]
  }

  var changingArguments: Arguments {
    [
      amount.amount, status.rawValue, unknownSince?.column, failure?.code, failure?.message, providerReference,
      updatedAt.column,
    ] + calls.arguments
  }
}

extension Case {
  init(_ row: SQLiteStatement, of order: OrderID) throws {
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

  var fixedArguments: Arguments {
    [
      id.order.text, id.ordinal, reason.rawValue, payment?.ordinal, refund?.ordinal, provider.text, amount.amount,
      amount.currency.code, note, openedAt.column,
    ]
  }

  var changingArguments: Arguments { [resolvedAt?.column, choice?.rawValue] }
}

extension Event {
  init(_ row: SQLiteStatement) throws {
    var columns = ColumnReader(row, table: "events")
    let order = try columns.must(OrderID(text: columns.next()))
    let sequence: Int = try columns.next()
    let _: String = try columns.next()
    self = try Event(
      id: EventID(order: order, sequence: sequence), type: columns.word(), at: columns.instant(),
      data: columns.must(Fields(text: columns.next())))
  }

  func arguments(of order: Order) -> Arguments {
    [
      order.id.text, id.sequence, order.registration.merchant.text, type.rawValue, at.column, data.text,
    ]
  }
}

extension UInt128 {
  init?(bytes: Data) {
    guard bytes.count == 16 else { return nil }
    self = bytes.reduce(0) { $0 << 8 | UInt128($1) }
  }

  var data: Data { Data((0..<16).reversed().map { UInt8(truncatingIfNeeded: self >> UInt128(8 * $0)) }) }
}
