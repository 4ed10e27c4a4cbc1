package import PaymentCore

/// An order as its row keeps it: what other columns do not say.
extension Order {
  /// The number of this encoding. A release that understands more than this one gives it a higher number only where this
  /// one must not read it at all; a field that this one does not know is enough to make it stop.
  private static let format = 1

  /// - Throws: `conflict` where it is what no decision makes: two live payments, two that are kept, a key twice. It is
  ///   refused here since a row of one column has no constraints for it.
  package func encoded() throws(ImpossibleOrder) -> [UInt8] {
    guard keepsTheGuards else { throw ImpossibleOrder() }
    var writer = StateWriter(origin: createdAt)
    writer.count(OrderField.format, Self.format)
    writer.moment(OrderField.createdAt, createdAt)
    writer.instant(OrderField.updatedAt, updatedAt)
    writer.instant(OrderField.expiresAt, expiresAt)
    writer.bytes(OrderField.checkoutSecret, checkoutSecret.bytes)
    writer.text(OrderField.description, registration.description)
    writer.integer(OrderField.expiresIn, registration.expiresIn)
    writer.word(OrderField.latePayment, registration.latePayment)
    writer.text(OrderField.returnURL, registration.returnURL)
    writer.text(OrderField.cancelURL, registration.cancelURL)
    if !registration.metadata.all.isEmpty { writer.text(OrderField.metadata, registration.metadata.text) }
    writer.word(OrderField.closeReason, closeReason)
    writer.instant(OrderField.paidAt, paidAt)
    writer.instant(OrderField.closedAt, closedAt)
    writer.count(OrderField.sequence, sequence)
    writer.count(OrderField.duplicatesPrevented, duplicates.count)
    if !duplicates.hashes.isEmpty {
      writer.bytes(OrderField.refusedKeys, duplicates.hashes.flatMap { $0.bigEndianBytes })
    }
    let currency = registration.amount.currency
    for payment in payments { writer.message(OrderField.payments) { payment.encode(into: &$0, currency) } }
    for refund in refunds { writer.message(OrderField.refunds) { refund.encode(into: &$0, currency) } }
    for item in cases { writer.message(OrderField.cases) { item.encode(into: &$0, currency) } }
    // At the end, so that nothing can be cut off unseen.
    writer.integer(OrderField.parts, payments.count + refunds.count + cases.count)
    return writer.bytes
  }

  /// - Parameter head: the order's other columns.
  /// - Throws: `UnreadableRow` where anything of it is not understood.
  init(_ state: [UInt8], _ head: OrderHead) throws {
    self = try state.withUnsafeBytes { bytes in
      try Self.read(StateReader(bytes, table: "orders"), head)
    }
  }

  private static func read(_ reader: StateReader, _ head: OrderHead) throws -> Order {
    var reader = reader
    guard case .format = try reader.next() as OrderField?, try reader.count() == format,
      case .createdAt = try reader.next() as OrderField?
    else { throw reader.unreadable }
    let createdAt = try reader.moment()
    reader = reader.since(createdAt)
    var (updatedAt, expiresAt): (Instant?, Instant?)
    var secret: UInt128?
    var (description, returnURL, cancelURL): (String?, String?, String?)
    var expiresIn: Int64?
    var latePayment: Registration.LatePayment?
    var metadata = Fields()
    var closeReason: CloseReason?
    var (paidAt, closedAt): (Instant?, Instant?)
    var (sequence, prevented) = (0, 0)
    var hashes: [UInt64] = []
    var (payments, refunds, cases): ([Payment], [Refund], [Case]) = ([], [], [])
    var parts: Int64?
    let currency = head.amount.currency
    while let field: OrderField = try reader.next() {
      switch field {
      case .format, .createdAt: throw reader.unreadable
      case .updatedAt: updatedAt = try reader.instant()
      case .expiresAt: expiresAt = try reader.instant()
      case .checkoutSecret: secret = UInt128(bytes: try reader.bytes())
      case .description: description = try reader.text()
      case .expiresIn: expiresIn = try reader.integer()
      case .latePayment: latePayment = try reader.word()
      case .returnURL: returnURL = try reader.text()
      case .cancelURL: cancelURL = try reader.text()
      case .metadata:
        let text = try reader.text()
        metadata = try reader.must(Fields(text: text))
        guard !metadata.all.isEmpty, metadata.text.isExactly(text) else { throw reader.unreadable }
      case .closeReason: closeReason = try reader.word()
      case .paidAt: paidAt = try reader.instant()
      case .closedAt: closedAt = try reader.instant()
      case .sequence: sequence = try reader.count()
      case .duplicatesPrevented: prevented = try reader.count()
      case .refusedKeys: hashes = try reader.must(Self.hashes(try reader.bytes()))
      case .payments:
        let id = try reader.must(PaymentID(head.id, Int64(payments.count + 1)))
        payments.append(try Payment(id, try reader.message(table: "payments"), currency))
      case .refunds:
        let id = try reader.must(RefundID(head.id, Int64(refunds.count + 1)))
        refunds.append(try Refund(id, try reader.message(table: "refunds"), currency))
      case .cases:
        let id = try reader.must(CaseID(head.id, Int64(cases.count + 1)))
        cases.append(try Case(id, try reader.message(table: "cases"), currency))
      case .parts: parts = try reader.integer()
      }
    }
    let registration = Registration(
      merchant: head.merchant, reference: head.reference, amount: head.amount, description: description,
      expiresIn: expiresIn, latePayment: try reader.must(latePayment), returnURL: returnURL, cancelURL: cancelURL,
      metadata: metadata)
    let order = Order(
      restored: head.id, number: head.number, registration: registration, checkoutSecret: try reader.must(secret),
      createdAt: createdAt,
      expiresAt: try reader.must(expiresAt), status: head.status, closeReason: closeReason, paidAt: paidAt,
      closedAt: closedAt, updatedAt: try reader.must(updatedAt), version: head.version, sequence: sequence,
      duplicates: PreventedDuplicates(count: prevented, hashes: hashes), payments: payments, refunds: refunds,
      cases: cases)
    // What would not be written would be lost at the next change.
    guard parts == Int64(payments.count + refunds.count + cases.count), sequence <= EventID.maximumSequence,
      order.keepsTheGuards, order.liveOrdinal == head.liveOrdinal, order.keptOrdinal == head.keptOrdinal
    else { throw reader.unreadable }
    return order
  }

  private static func hashes(_ bytes: [UInt8]) -> [UInt64]? {
    guard !bytes.isEmpty, bytes.count % 8 == 0 else { return nil }
    return stride(from: 0, to: bytes.count, by: 8).map { start in
      bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  /// The ordinal of the payment that may still take money, and of the one that the order keeps.
  var liveOrdinal: Int? { livePayment?.id.ordinal }
  var keptOrdinal: Int? { keptPayment?.id.ordinal }
}

/// An order that breaks an invariant. Decided alone, the command at fault shows itself.
package struct ImpossibleOrder: Error {}

extension OrderPartID {
  /// `nil` where no part has this number.
  init?(_ order: OrderID, _ ordinal: Int64) {
    guard (1...Int64(Self.maximum)).contains(ordinal) else { return nil }
    self.init(order: order, ordinal: Int(ordinal))
  }
}

extension UInt64 {
  fileprivate var bigEndianBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}

extension UInt128 {
  package init?(bytes: [UInt8]) {
    guard bytes.count == 16 else { return nil }
    self = bytes.withUnsafeBytes { UInt128(bigEndian: $0.loadUnaligned(as: UInt128.self)) }
  }

  package var bytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
