import Contract
import Foundation
import PaymentCore
import Testing

/// Every member with its value: that it may be null is all that the schema says of most.
@Suite struct RenderingTests {
  private static let rendering = Rendering(publicURL: "https://pay.example")
  private static let provider = ProviderName("sandbox")
  private static let start = Instant(milliseconds: 1_795_000_000_000)
  private static let cny = Currency(code: "CNY")!

  /// An order to which one thing happens each minute.
  private struct Story {
    static let rules = Rules(
      accounts: [Account(provider, CapabilitySheet(methods: ["ok"], createMovesMoney: true, burning: .close))],
      numbering: Numbering { bytes in bytes.reduce(7) { $0 &* 257 &+ UInt128($1) } })
    private(set) var order: Order
    private(set) var events: [Event] = []
    private(set) var minute: Int64 = 0

    init(_ registration: Order.Registration) {
      let number = Self.rules.numbering.order(registration)
      let id = OrderID(at: start, number: number, random: 1)
      let register = Command.register(registration, number: number, id: id, checkoutSecret: 7)
      let made = decide(nil, register, by: .payOnce, now: start, rules: Self.rules)
      order = made.order!
      events = made.events
    }

    mutating func tell(_ command: Command) {
      minute += 1
      let now = start.advanced(by: .seconds(60 * minute))
      let made = decide(order, command, by: .payOnce, now: now, rules: Self.rules)
      order = made.order!
      events += made.events
    }

    func payment(_ number: Int) -> PaymentID { PaymentID(order: order.id, ordinal: number) }
    func refund(_ number: Int) -> RefundID { RefundID(order: order.id, ordinal: number) }

    mutating func pay(_ key: String) {
      tell(.pay(order.id, key: IdempotencyKey(key)!, provider: provider, method: nil))
    }

    mutating func hear(_ verdict: PaymentEvidence.Verdict, of number: Int, capturedAt: Instant? = nil) {
      tell(
        .evidence(
          .payment(
            .init(
              payment: payment(number), provider: provider, call: nil, verdict: verdict, reference: "ch_\(number)",
              capturedAt: capturedAt))))
    }

    mutating func hearOfRefund(_ verdict: RefundEvidence.Verdict, _ number: Int) {
      let call = order.refund(refund(number))?.calls.lease?.number
      tell(.evidence(.refund(.init(refund: refund(number), provider: provider, call: call, verdict: verdict))))
    }

    /// What is due is asked about, and answered by what is told next.
    mutating func ask() { _ = order.takeCalls(start.advanced(by: .seconds(60 * (minute + 1))), rules: Self.rules) }
  }

  private static func story(_ change: (inout Story) -> Void = { _ in }) -> Story {
    var metadata = Fields()
    metadata.append("cart", "7")
    var story = Story(
      .init(
        merchant: MerchantID("mer_a"), reference: "r 1", amount: Money(1999, cny), description: "绿茶 \"tea\"",
        expiresIn: 3600, latePayment: .accept, returnURL: "https://shop.example/back",
        cancelURL: "https://shop.example/cart", metadata: metadata))
    change(&story)
    return story
  }

  private static func time(_ minute: Int) -> String { start.advanced(by: .seconds(60 * minute)).rfc3339 }

  /// The members of an object as text, `null` where nothing is.
  private static func members(_ bytes: [UInt8]) throws -> [String: String] {
    let object = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    return try object.mapValues { value in
      if value is NSNull { return "null" }
      guard value is [Any] || value is [String: Any] else { return "\(value)" }
      let nested = try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys, .withoutEscapingSlashes])
      return String(decoding: nested, as: UTF8.self)
    }
  }

  private static func expect(_ bytes: [UInt8], _ expected: [String: String], _ line: Int = #line) throws {
    let members = try members(bytes)
    for name in Set(members.keys).union(expected.keys) {
      #expect(members[name] == expected[name], "\(name), of line \(line)")
    }
  }

  private static func expect(_ bytes: [UInt8], has expected: [String: String], _ line: Int = #line) throws {
    let members = try members(bytes)
    for (name, value) in expected { #expect(members[name] == value, "\(name), of line \(line)") }
  }

  @Test func anOrderInEveryState() throws {
    let open = Self.story()
    let id = open.order.id.text
    var expected = [
      "id": id, "number": open.order.number.text, "reference": "r 1", "amount": "1999", "currency": "CNY",
      "description": "绿茶 \"tea\"", "status": "open",
      "close_reason": "null", "amount_refunded": "0", "duplicates_prevented": "0", "late_payment": "accept",
      "checkout_url": "https://pay.example/checkout/\(open.order.checkoutToken.text)",
      "return_url": "https://shop.example/back", "cancel_url": "https://shop.example/cart",
      "metadata": #"{"cart":"7"}"#, "payment": "null", "expires_at": Self.time(60), "created_at": Self.time(0),
      "paid_at": "null", "closed_at": "null",
    ]
    try Self.expect(Self.rendering.order(open.order), expected)

    let closed = Self.story { $0.tell(.closeOrder($0.order.id)) }
    expected.merge(["status": "closed", "close_reason": "cancelled", "closed_at": Self.time(1)]) { $1 }
    try Self.expect(Self.rendering.order(closed.order), expected)

    let paid = Self.story {
      $0.pay("1")
      $0.pay("2")
      $0.hear(.succeeded(Money(1999, Self.cny)), of: 1)
      $0.tell(.refund($0.payment(1), key: IdempotencyKey("r")!, .init(amount: 99)))
      $0.hearOfRefund(.succeeded(nil), 1)
    }
    expected.merge([
      "status": "paid", "close_reason": "null", "paid_at": Self.time(3), "closed_at": "null", "amount_refunded": "99",
      "duplicates_prevented": "1",
      "payment": try #require(try Self.members(Self.rendering.order(paid.order))["payment"]),
    ]) { $1 }
    try Self.expect(Self.rendering.order(paid.order), expected)
    #expect(expected["payment"]?.contains(paid.payment(1).text) == true)

    // It closed by its deadline, and money came all the same.
    let late = Self.story {
      $0.pay("1")
      $0.hear(.closed, of: 1)
      for _ in 1...58 { $0.tell(.wake($0.order.id)) }
    }
    try Self.expect(
      Self.rendering.order(late.order),
      has: ["status": "closed", "close_reason": "expired", "closed_at": Self.time(60), "paid_at": "null"])
    var paidLate = late
    paidLate.hear(.succeeded(Money(1999, Self.cny)), of: 1)
    try Self.expect(
      Self.rendering.order(paidLate.order),
      has: ["status": "paid", "close_reason": "null", "closed_at": "null", "paid_at": Self.time(61)])
  }

  @Test func aPaymentInEveryState() throws {
    func rendered(_ story: Story) throws -> [UInt8] {
      Self.rendering.payment(try #require(story.order.view(story.payment(1))))
    }
    let begun = Self.story { $0.pay("1") }
    var expected = [
      "id": begun.payment(1).text, "order": begun.order.id.text,
      "number": begun.order.number(of: begun.payment(1)).text, "provider": "sandbox", "method": "ok",
      "amount": "1999",
      "currency": "CNY", "amount_received": "null", "currency_received": "null", "amount_refunded": "0",
      "amount_refundable": "0", "status": "processing", "surplus": "null", "captured_at": "null",
      "unknown_since": "null", "next_action": "null", "failure": "null", "provider_reference": "null",
      "close_requested_at": "null", "expires_at": Self.time(60), "created_at": Self.time(1), "updated_at": Self.time(1),
    ]
    try Self.expect(rendered(begun), expected)

    for (action, shown) in [
      (
        NextAction.redirect(url: "https://bank.example/?a=1"), #"{"type":"redirect","url":"https://bank.example/?a=1"}"#
      ),
      (.qrCode(content: "weixin://x"), #"{"content":"weixin://x","type":"qr_code"}"#),
      (.clientSecret("s3"), #"{"client_secret":"s3","type":"client_secret"}"#),
    ] {
      var waiting = begun
      waiting.hear(.pending(action), of: 1)
      let changes = [
        "status": "requires_action", "next_action": shown, "provider_reference": "ch_1", "updated_at": Self.time(2),
      ]
      try Self.expect(rendered(waiting), expected.merging(changes) { $1 })
      // While its provider cannot be asked, there is nothing for the buyer to do there.
      let view = Self.rendering.buyerView(
        waiting.order, shop: "tea", methods: [], retryAt: nil, isAskable: false, nextCheckAt: nil, now: Self.start)
      let payment = try #require(try Self.members(view)["payment"])
      #expect(payment.contains(#""next_action":null"#) && !payment.contains("bank.example"))
    }

    var closed = begun
    closed.tell(.closePayment(closed.payment(1)))
    let changes = ["status": "closed", "close_requested_at": Self.time(2), "updated_at": Self.time(2)]
    try Self.expect(rendered(closed), expected.merging(changes) { $1 })

    var failed = begun
    failed.hear(.failed(Failure(code: "declined", message: "No 💳 today")), of: 1)
    try Self.expect(
      rendered(failed),
      expected.merging([
        "status": "failed", "failure": #"{"code":"declined","message":"No 💳 today"}"#, "provider_reference": "ch_1",
        "updated_at": Self.time(2),
      ]) { $1 })

    // What it took is told as it was taken, and when by its own clock.
    let moment = Instant(milliseconds: Self.start.milliseconds + 61_234)
    var taken = begun
    taken.hear(.succeeded(Money(1999, Self.cny)), of: 1, capturedAt: moment)
    taken.tell(.refund(taken.payment(1), key: IdempotencyKey("r")!, .init(amount: 99)))
    taken.hearOfRefund(.succeeded(nil), 1)
    expected.merge([
      "status": "succeeded", "amount_received": "1999", "currency_received": "CNY", "captured_at": moment.rfc3339,
      "amount_refunded": "99", "amount_refundable": "1900", "provider_reference": "ch_1", "updated_at": Self.time(2),
    ]) { $1 }
    try Self.expect(rendered(taken), expected)

    var wrong = begun
    wrong.hear(.succeeded(Money(5, Currency(code: "USD")!)), of: 1)
    expected.merge([
      "amount_received": "5", "currency_received": "USD", "surplus": "mismatch", "captured_at": "null",
      "amount_refunded": "0", "amount_refundable": "0",
    ]) { $1 }
    try Self.expect(rendered(wrong), expected)
  }

  @Test func aRefundInEveryState() throws {
    var story = Self.story {
      $0.pay("1")
      $0.hear(.succeeded(Money(1999, Self.cny)), of: 1)
      $0.tell(.refund($0.payment(1), key: IdempotencyKey("r")!, .init(amount: 99, reason: "chipped 杯")))
    }
    func rendered() throws -> [UInt8] { Self.rendering.refund(try #require(story.order.refund(story.refund(1)))) }
    var expected = [
      "id": story.refund(1).text, "payment": story.payment(1).text, "order": story.order.id.text,
      "number": story.order.refunds[0].number!.text, "amount": "99",
      "currency": "CNY", "cause": "requested", "reason": "chipped 杯", "status": "processing", "failure": "null",
      "unknown_since": "null", "created_at": Self.time(3), "updated_at": Self.time(3),
    ]
    try Self.expect(rendered(), expected)
    story.hearOfRefund(.succeeded(nil), 1)
    expected.merge(["status": "succeeded", "updated_at": Self.time(4)]) { $1 }
    try Self.expect(rendered(), expected)
    // Said by itself it is asked about first.
    story.hearOfRefund(.failed(Failure(code: "account_closed", message: "It came back.")), 1)
    try Self.expect(rendered(), expected)
    story.ask()
    story.hearOfRefund(.failed(Failure(code: "account_closed", message: "It came back.")), 1)
    expected.merge([
      "status": "failed", "failure": #"{"code":"account_closed","message":"It came back."}"#,
      "updated_at": Self.time(6),
    ]) { $1 }
    try Self.expect(rendered(), expected)
  }

  /// What the buyer is told, and nothing else: no metadata, no address of the shop's, no other order.
  @Test func whatABuyerSees() throws {
    let story = Self.story {
      $0.pay("1")
      $0.hear(.succeeded(Money(1999, Self.cny)), of: 1)
      for (key, amount) in [("a", 1), ("b", 2), ("c", 4)] as [(String, Int64)] {
        $0.tell(.refund($0.payment(1), key: IdempotencyKey(key)!, .init(amount: amount)))
      }
      $0.hearOfRefund(.succeeded(nil), 1)
      $0.hearOfRefund(.failed(Failure(code: "account_closed", message: "No.")), 2)
    }
    let view = Self.rendering.buyerView(
      story.order, shop: "Tea 茶", methods: [BuyerMethod(provider: Self.provider, method: "ok")],
      retryAt: Self.start.advanced(by: .seconds(600)), isAskable: true,
      nextCheckAt: Self.start.advanced(by: .seconds(660)),
      now: Self.start.advanced(by: .seconds(540)))
    let members = try Self.members(view)
    let payment = try #require(members["payment"])
    try Self.expect(
      view,
      [
        "status": "paid", "close_reason": "null", "amount": "1999", "currency": "CNY",
        "description": "绿茶 \"tea\"", "shop": "Tea 茶", "expires_at": Self.time(60), "now": Self.time(9),
        "next_check_at": Self.time(11), "provider_available": "1", "retry_at": Self.time(10),
        "methods": #"[{"method":"ok","provider":"sandbox"}]"#, "payment": payment, "last_payment": payment,
        "returned":
          #"[{"amount":1,"currency":"CNY","status":"succeeded"},{"amount":2,"currency":"CNY","status":"failed"},"#
          + #"{"amount":4,"currency":"CNY","status":"processing"}]"#,
        "version": "\(story.order.version)",
      ])
    #expect(payment.contains(#""status":"succeeded""#) && payment.contains(#""amount_refunded":1,"#))
    // The payment under way, or none; and the last one, however it ended.
    let declined = Self.story {
      $0.pay("1")
      $0.hear(.failed(Failure(code: "declined", message: "No.")), of: 1)
    }
    let after = try Self.members(
      Self.rendering.buyerView(
        declined.order, shop: "", methods: [], retryAt: nil, isAskable: true, nextCheckAt: nil, now: Self.start))
    #expect(after["payment"] == "null" && after["last_payment"]?.contains(declined.payment(1).text) == true)
    #expect(after["retry_at"] == "null" && after["next_check_at"] == "null" && after["methods"] == "[]")
  }

  @Test func anEvent() throws {
    let story = Self.story { $0.pay("1") }
    let event = try #require(story.events.last)
    var writer = JSONWriter()
    writer.object { Rendering.event(event, into: &$0) }
    let members = try Self.members(writer.bytes)
    #expect(members["data"]?.contains(story.payment(1).text) == true)
    try Self.expect(
      writer.bytes,
      [
        "id": event.id.text, "type": "payment.started", "order": story.order.id.text, "sequence": "2",
        "created_at": Self.time(1), "data": members["data"] ?? "",
      ])
  }

  @Test func aListSaysWhereItGoesOn() throws {
    for (next, shown) in [(nil, "null"), ("ord_1", "ord_1")] as [(String?, String)] {
      let list = Self.rendering.list([1, 2] as [Int64], next: next) { $1.integer("n", $0) }
      try Self.expect(list, ["data": #"[{"n":1},{"n":2}]"#, "next": shown])
    }
  }

  /// What goes with a refusal: who only has to wait is told so by the status, too.
  @Test func aProblem() throws {
    let story = Self.story { $0.pay("1") }
    let view = try #require(story.order.view(story.payment(1)))
    let refusal = Refusal(.paymentInProgress, "Another one runs.", payment: view)
    let members = try Self.members(Problem(refusal).json)
    #expect(members["payment"]?.contains(story.payment(1).text) == true)
    try Self.expect(
      Problem(refusal).json,
      [
        "type": "urn:payonce:problem:payment_in_progress", "title": "Payment in progress", "status": "409",
        "detail": "Another one runs.", "code": "payment_in_progress", "payment": members["payment"] ?? "",
      ])
    let paused = Refusal(.tooManyPayments, "A pause.", retryAfter: 30)
    #expect(Problem(paused).status == 429 && Problem(paused).retryAfter == 30)
    #expect(Problem(Refusal(.tooManyPayments, "No more.")).status == 409)
    let wrong = Refusal(.invalidRequest, "It is wrong.", errors: [.init(field: "amount", message: "is required")])
    try Self.expect(
      Problem(wrong).json,
      [
        "type": "urn:payonce:problem:invalid_request", "title": "Invalid request", "status": "400",
        "detail": "It is wrong.", "code": "invalid_request", "errors": #"[{"field":"amount","message":"is required"}]"#,
      ])
  }
}
