import Foundation
import OrderRows
import PaymentCore
import PaymentEngine
import Testing

/// How orders and events are encoded in their rows.
@Suite struct OrderStateTests {
  /// The columns of an order's row.
  struct Row: ResultRow {
    var cells: [Cell?]

    init(_ order: Order) throws {
      var all: [Cell?] = []
      var changes = Changeset()
      changes.orders = [.init(before: nil, after: order)]
      try changes.rows { if case .insert(.orders, let arguments) = $0 { all = arguments.map { $0?.cell } } }
      cells = all
    }

    var state: [UInt8] {
      get { bytes(at: cells.count - 1)! }
      set { cells[cells.count - 1] = .bytes(newValue) }
    }

    func isNull(at index: Int) -> Bool { cells[index] == nil }
    func integer(at index: Int) -> Int64? { if case .integer(let value)? = cells[index] { value } else { nil } }
    func text(at index: Int) -> String? { if case .text(let value)? = cells[index] { value } else { nil } }
    func bytes(at index: Int) -> [UInt8]? { if case .bytes(let value)? = cells[index] { value } else { nil } }
  }

  /// Orders of every kind of life, as they were after every step, and what the steps made.
  static func lives(_ seeds: ClosedRange<UInt64>, _ take: (Order, [Event]) throws -> Void) rethrows {
    for seed in seeds {
      var walk = OrderWalk(seed: seed, merchant: MerchantID("mer_tea"))
      for _ in 0..<30 {
        let events = walk.step().events.map(\.event)
        if let order = walk.order { try take(order, events) }
      }
    }
  }

  @Test func whatIsEncodedIsRead() throws {
    var count = 0
    try Self.lives(1...200) { order, events in
      let row = try Row(order)
      #expect(try Order(row) == order)
      guard !events.isEmpty else { return }
      let pack = EventPack(events)
      #expect(try EventPack(order: order.id, first: events[0].id.sequence, pack.encoded) == pack)
      count += 1
    }
    #expect(count > 1000)
  }

  /// What is read is all of what stands there: at the next change nothing of it is lost. Bytes that were changed in any way
  /// cannot be read, or say something else, which is written again as it was.
  @Test func nothingThatIsReadIsLost() throws {
    var dice = SeededDice(7)
    var (read, unreadable) = (0, 0)
    try Self.lives(1...40) { order, events in
      let whole = try Row(order)
      for _ in 0..<20 {
        var row = whole
        row.state = Self.spoilt(whole.state, &dice)
        do {
          let order = try Order(row)
          #expect(try order.encoded() == row.state, "\(row.state)")
          read += 1
        } catch is UnreadableRow { unreadable += 1 }
        guard let first = events.first?.id.sequence else { continue }
        let bytes = Self.spoilt(EventPack(events).encoded, &dice)
        if let pack = try? EventPack(order: order.id, first: first, bytes) { #expect(pack.encoded == bytes) }
      }
    }
    #expect(read > 1000 && unreadable > 1000, "\(read) were read, \(unreadable) not")
  }

  /// One byte changed, put in, taken out, or the end cut off.
  private static func spoilt(_ bytes: [UInt8], _ dice: inout SeededDice) -> [UInt8] {
    var bytes = bytes
    let place = Int.random(in: bytes.indices, using: &dice)
    switch Int.random(in: 0..<4, using: &dice) {
    case 0: bytes[place] = UInt8.random(in: 0...255, using: &dice)
    case 1: bytes.insert(UInt8.random(in: 0...255, using: &dice), at: place)
    case 2: bytes.remove(at: place)
    default: bytes.removeSubrange(place...)
    }
    return bytes
  }

  /// A field that only a newer release knows makes an order unreadable, wherever it stands: to pass over it would be to take
  /// it away at the next change.
  @Test func aFieldOfANewerReleaseIsNotPassedOver() throws {
    var tables: Set<String> = []
    try Self.lives(1...60) { order, _ in
      let whole = try Row(order)
      for (table, bytes) in Self.extended(whole.state, OrderField.self, "orders") {
        var row = whole
        row.state = bytes
        #expect(throws: UnreadableRow.self) { try Order(row) }
        do { _ = try Order(row) } catch let error as UnreadableRow { #expect(error.table == table) }
        tables.insert(table)
      }
    }
    #expect(tables == ["orders", "payments", "refunds", "cases"])
  }

  /// Fields that are known, and do not belong to a payment that is processing: they would be lost at its next change.
  @Test func whatDoesNotBelongToAStateIsNotPassedOver() throws {
    let order = StoreContractTests.pay(Self.order("a"), "k").order
    let whole = try Row(order)
    #expect(order.payments[0].status == .processing)
    func state(with field: PaymentField, _ write: (inout StateWriter) -> Void) throws -> [UInt8] {
      let payments = try #require(Self.fields(whole.state, OrderField.self).first { $0.field == .payments })
      let payment = Array(whole.state[payments.value])
      let next = Self.fields(payment, PaymentField.self).first { $0.field.rawValue > field.rawValue }
      var (added, message) = (StateWriter(origin: order.createdAt), StateWriter(origin: order.createdAt))
      write(&added)
      let place = next?.start ?? payment.count
      message.bytes(OrderField.payments, Array(payment[..<place]) + added.bytes + Array(payment[place...]))
      return Array(whole.state[..<payments.start]) + message.bytes + Array(whole.state[payments.value.upperBound...])
    }
    let spoilt: [(PaymentField, (inout StateWriter) -> Void)] = [
      (.redirect, { $0.text(PaymentField.redirect, "https://bank.example") }),
      (.qrCode, { $0.text(PaymentField.qrCode, "pay") }), (.clientSecret, { $0.text(PaymentField.clientSecret, "s") }),
      (.surplus, { $0.word(PaymentField.surplus, Payment.Surplus.late) }),
      (.amountReceived, { $0.integer(PaymentField.amountReceived, 5) }),
      (.currencyReceived, { $0.text(PaymentField.currencyReceived, "USD") }),
      (.capturedAt, { $0.instant(PaymentField.capturedAt, order.createdAt) }),
      (.failureCode, { $0.text(PaymentField.failureCode, "declined") }),
      (.failureMessage, { $0.text(PaymentField.failureMessage, "no") }),
      (.watchUntil, { $0.instant(PaymentField.watchUntil, order.createdAt) }),
    ]
    for (field, write) in spoilt {
      var row = whole
      row.state = try state(with: field, write)
      #expect(throws: UnreadableRow.self, "\(field)") { try Order(row) }
    }
    // One that belongs there is read, so it is not the place that is wrong.
    var row = whole
    row.state = try state(with: .unknownSince) { $0.instant(PaymentField.unknownSince, order.createdAt) }
    #expect(try Order(row).payments[0].unknownSince == order.createdAt)
  }

  /// The message with an unknown field at its end, and with one at the end of every message in it.
  private static func extended<Field: StateField>(
    _ bytes: [UInt8], _: Field.Type, _ table: String
  ) -> [(table: String, bytes: [UInt8])] {
    var all = [(table, bytes + [0xC0, 0x3E, 1])]
    for (start, value, field) in fields(bytes, Field.self) {
      let inner: any StateField.Type
      switch field.form {
      case .message(let type), .messages(let type): inner = type
      default: continue
      }
      let table = field is OrderField ? "\(field)" : table
      for (name, changed) in extended(Array(bytes[value]), inner, table) {
        var length: [UInt8] = []
        var count = changed.count
        while count >= 0x80 {
          length.append(UInt8(count & 0x7F) | 0x80)
          count >>= 7
        }
        length.append(UInt8(count))
        let key = field.rawValue << 3 | 2
        let keyBytes: [UInt8] = key < 0x80 ? [UInt8(key)] : [UInt8(key & 0x7F) | 0x80, UInt8(key >> 7)]
        all.append((name, Array(bytes[..<start]) + keyBytes + length + changed + Array(bytes[value.upperBound...])))
      }
    }
    return all
  }

  /// The fields of a message: where each begins, and where its value stands.
  private static func fields<Field: StateField>(
    _ bytes: [UInt8], _: Field.Type
  ) -> [(start: Int, value: Range<Int>, field: Field)] {
    var position = 0
    func varint() -> Int {
      var (value, shift) = (0, 0)
      while true {
        let byte = Int(bytes[position])
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 { return value }
        shift += 7
      }
    }
    var fields: [(start: Int, value: Range<Int>, field: Field)] = []
    while position < bytes.count {
      let start = position
      let key = varint()
      var value = position..<position
      if key & 7 == 2 {
        let count = varint()
        value = position..<position + count
        position += count
      } else {
        _ = varint()
        value = value.lowerBound..<position
      }
      fields.append((start, value, Field(rawValue: key >> 3)!))
    }
    return fields
  }

  /// Numbers with which nothing can be reckoned are no numbers, so that a damaged row is one unreadable order and not the end
  /// of the program.
  @Test func numbersAreBounded() throws {
    for (value, isCount) in [(-1, false), (0, false), (1, true), (1 << 31 - 1, true), (1 << 31, false)]
      as [(Int64, Bool)]
    {
      #expect(Self.reads(value) { _ = try $0.count() } == isCount, "\(value)")
    }
    for (value, isAmount) in [
      (-1, false), (0, true), (1_000_000_000_000_000, true), (1_000_000_000_000_001, false), (.max, false),
    ] as [(Int64, Bool)] { #expect(Self.reads(value) { _ = try $0.amount() } == isAmount, "\(value)") }
    for (value, isMoment) in [
      (-1, false), (0, true), (253_402_300_799_999, true), (253_402_300_800_000, false), (.min, false),
    ] as [(Int64, Bool)] { #expect(Self.reads(value) { _ = try $0.moment() } == isMoment, "\(value)") }
    var walk = OrderWalk(seed: 2, merchant: MerchantID("mer_tea"))
    _ = walk.step()
    var row = try Row(walk.order!)
    for state in [[0x08, 1, 0x10] + [UInt8](repeating: 0xFF, count: 9) + [1], [], [0x08, 2]] {
      row.state = state
      #expect(throws: UnreadableRow.self) { try Order(row) }
      #expect(try StoredOrder(row).record.count > 5, "it is shown all the same")
    }
  }

  private static func reads(_ value: Int64, _ read: (inout StateReader) throws -> Void) -> Bool {
    var writer = StateWriter(origin: Instant(milliseconds: 0))
    writer.integer(SpanField.count, value)
    return writer.bytes.withUnsafeBytes { bytes in
      var reader = StateReader(bytes, table: "t")
      guard (try? reader.next() as SpanField?) != nil else { return false }
      return (try? read(&reader)) != nil
    }
  }

  /// Events of one commit that happened at different moments stand at their own: so the rows' sequence is that of every order.
  @Test func aFeedRowIsOfOneMoment() throws {
    let (early, late) = (Self.order("a"), Self.order("b"))
    var changes = Changeset()
    func add(_ order: Order, _ sequence: Int, _ seconds: Int) {
      let id = EventID(order: order.id, sequence: sequence)
      let at = OrderWalk.start.advanced(by: .seconds(seconds))
      changes.events.append((order, Event(id: id, type: .orderPaid, at: at, data: Fields())))
    }
    add(early, 1, 1)
    add(late, 1, 9)
    add(early, 2, 1)
    var feeds: [(at: Instant, row: FeedRow)] = []
    try changes.rows { if case .feed(_, let at, let row) = $0 { feeds.append((at, row)) } }
    #expect(feeds.map { $0.at.since(OrderWalk.start).components.seconds } == [1, 9])
    #expect(feeds.map(\.row.count) == [2, 1])
    #expect(try feeds.map { try FeedRow($0.row.encoded) } == feeds.map(\.row))
  }

  private static func order(_ reference: String) -> Order {
    StoreContractTests.order(MerchantID("mer_tea"), reference).order
  }

  /// Each word has a number, and keeps it.
  @Test func wordsKeepTheirNumbers() {
    func expect<Word: StateWord>(_: Word.Type, _ words: String) {
      #expect(Word.words.map(\.rawValue).joined(separator: " ") == words)
      #expect(Word.words.count == Word.allCases.count)
    }
    expect(Order.Registration.LatePayment.self, "refund accept")
    expect(Order.CloseReason.self, "expired cancelled")
    expect(Payment.Status.self, "processing requires_action succeeded failed closed")
    expect(Payment.Surplus.self, "mismatch duplicate late")
    expect(Refund.Status.self, "processing succeeded failed")
    expect(Refund.Cause.self, "requested surplus")
    expect(
      Case.Reason.self, "unknown_payment wrong_amount refund_refused refund_failed disputed archived_order unresolved")
    expect(Case.Choice.self, "retry new_refund settled_outside acknowledge")
    expect(Call.Kind.self, "charge query close refund query_refund")
    expect(CallState.Finding.self, "found pending not_found refused unanswered")
    expect(
      Event.Kind.self,
      "order.created order.paid order.closing order.closed order.reopened payment.started payment.requires_action "
        + "payment.unknown payment.succeeded payment.failed payment.closed payment.surplus payment.throttled "
        + "refund.started refund.succeeded refund.failed case.opened case.resolved duplicate.prevented")
    expect(
      EventDataName.self,
      "reference amount currency payment provider method refund surplus code message reason amount_received "
        + "currency_received close_reason idempotency_key expires_in")
  }

  /// Who says the same reference as another merchant, or the same bytes cut elsewhere, means another order.
  @Test func ordersAreFoundByMerchantAndReference() {
    let hashes = [
      ("mer_a", "b"), ("mer_", "ab"), ("mer_b", "a"), ("mer_a", "B"), ("mer_a", "e\u{301}"), ("mer_a", "é"),
    ]
    .map { Numbering.sha256.order(MerchantID($0.0), $0.1).bits }
    #expect(Set(hashes).count == hashes.count)
    // Computed by `printf 'mer_a\0b' | sha256sum`: it must be the same for ever.
    #expect(String(hashes[0], radix: 16) == "cce2e1741ae00e63f930335142b82350")
    let payment = PaymentNumber(order: OrderNumber(bits: hashes[0]), ordinal: 1)
    #expect(payment.text == "p6cwbgq86q01shzjc1ka51bg8tg01")
    // Computed by `printf 'surplus\0p6cwbgq86q01shzjc1ka51bg8tg01\0%s' 0 | sha256sum`.
    #expect(
      String(Numbering.sha256.surplusRefund(of: payment, after: 0).bits, radix: 16)
        == "53e2477700b7fc917e1920ec17ec8697")
  }
}
