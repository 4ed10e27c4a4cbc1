import PaymentCore
import Testing

/// Every state of an order against every command, a line a state. A word is the refusal; `new`, `same` and `noted` are
/// what is answered otherwise.
@Suite struct DecisionTableTests {
  private static let columns = [
    "register", "register other", "pay a", "pay a/late", "pay new", "close order", "close pay", "check", "refund",
    "reopen", "wake",
  ]

  private static let table = """
    nothing      | new  | new | not_found | not_found | not_found | not_found | not_found | not_found | not_found | not_found | noted
    open         | same | reference_reused | new | new | new | new | not_found | not_found | not_found | same | noted
    processing   | same | reference_reused | same | idempotency_key_reused | payment_in_progress | new | new | new | payment_not_refundable | same | noted
    unknown      | same | reference_reused | same | idempotency_key_reused | payment_in_progress | new | new | new | payment_not_refundable | same | noted
    action       | same | reference_reused | same | idempotency_key_reused | payment_in_progress | new | new | new | payment_not_refundable | same | noted
    giving up    | same | reference_reused | same | idempotency_key_reused | payment_in_progress | new | new | new | payment_not_refundable | same | noted
    declined     | same | reference_reused | same | idempotency_key_reused | new | new | new | new | payment_not_refundable | same | noted
    closing      | same | reference_reused | same | idempotency_key_reused | order_closed | new | new | new | payment_not_refundable | new | noted
    paid         | same | reference_reused | same | idempotency_key_reused | order_paid | order_paid | new | new | new | order_paid | noted
    refunded     | same | reference_reused | same | idempotency_key_reused | order_paid | order_paid | new | new | refund_exceeds_payment | order_paid | noted
    expired      | same | reference_reused | new-closed | new-closed | order_closed | new | not_found | not_found | not_found | new | noted
    cancelled    | same | reference_reused | same | idempotency_key_reused | order_closed | new | new | new | payment_not_refundable | order_closed | noted
    """

  private static func story(_ state: String) -> OrderStory {
    var story = OrderStory()
    if state == "nothing" { return story }
    story.register()
    switch state {
    case "open": break
    case "expired": story.pass(.seconds(900))
    default: story.pay("a", "ok")
    }
    switch state {
    case "unknown": story.answer(.unknown("reset"))
    case "action": story.answer(.pending(.redirect(url: "https://bank.example")))
    case "giving up":
      story.answer(.pending(.redirect(url: "https://bank.example")))
      story.close()
    case "declined": story.answer(.failed(Failure(code: "declined", message: "")))
    case "closing":
      story.answer(.pending(.redirect(url: "https://bank.example")))
      story.pass(.seconds(900))
    case "paid": story.answer(.succeeded(OrderStory.price))
    case "refunded":
      story.answer(.succeeded(OrderStory.price))
      story.refund(key: "earlier")
    case "cancelled":
      story.answer(.failed(Failure(code: "declined", message: "")))
      story.send(.closeOrder(OrderStory.id))
    default: break
    }
    return story
  }

  private static func command(_ column: String) -> Command {
    let payment = PaymentID(order: OrderStory.id, ordinal: 1)
    func pay(_ key: String, _ method: String) -> Command {
      .pay(OrderStory.id, key: IdempotencyKey(key)!, provider: OrderStory.sandbox, method: method)
    }
    switch column {
    case "register":
      return .register(OrderStory.registration(), number: OrderStory.number, id: OrderStory.id, checkoutSecret: 1)
    case "register other":
      return .register(
        OrderStory.registration(amount: Money(5, OrderStory.cny)), number: OrderStory.number, id: OrderStory.id,
        checkoutSecret: 1)
    case "pay a": return pay("a", "ok")
    case "pay a/late": return pay("a", "late")
    case "pay new": return pay("n", "ok")
    case "close order": return .closeOrder(OrderStory.id)
    case "close pay": return .closePayment(payment)
    case "check": return .check(payment)
    case "refund": return .refund(payment, key: IdempotencyKey("r")!, .init(amount: nil))
    case "reopen": return .reopenOrder(OrderStory.id, expiresIn: nil)
    default: return .wake(OrderStory.id)
    }
  }

  @Test(arguments: table.split(separator: "\n").map(String.init))
  func row(line: String) {
    let cells = line.split(separator: "|").map { $0.trimmingPrefix { $0 == " " } }.map {
      String($0.reversed().drop { $0 == " " }.reversed())
    }
    for (column, expected) in zip(Self.columns, cells.dropFirst()) {
      var story = Self.story(cells[0])
      let before = story
      let outcome = story.send(Self.command(column))
      let word =
        outcome.code?.rawValue ?? (outcome == .success(.noted) ? "noted" : outcome.isRepeat ? "same" : "new")
      // An expired order that had no payment takes none, under whatever key.
      let wanted = expected == "new-closed" ? "order_closed" : expected
      #expect(word == wanted, "\(column) of an order that is \(cells[0])")
      #expect(broken(story, after: before, Self.command(column)) == [])
    }
  }

  @Test func precedenceIsTheOrderOfTheList() {
    // An amount that the provider does not take comes before a key that is reused, and a disabled provider last.
    var story = OrderStory()
    story.register()
    story.pay("a", "ok")
    story.sheet = CapabilitySheet(
      methods: ["ok", "late"], currencies: ["USD"], createMovesMoney: true, burning: .close)
    #expect(story.pay("a", "late").code == .amountNotSupported)
    #expect(story.pay("a", "ok").isRepeat, "a repeat is answered whatever changed since")
    story.rules.accounts = [Account(OrderStory.sandbox, OrderStory.burning, isEnabled: false)]
    #expect(story.pay("b", "ok").code == .paymentInProgress)
    story.answer(.failed(Failure(code: "declined", message: "")))
    #expect(story.pay("b", "ok").code == .providerNotEnabled)
    #expect(story.pay("b", "nonsense").code == .invalidRequest)
  }

  @Test func othersOrdersAreNotFound() {
    var story = OrderStory()
    story.register()
    story.pay("a", "ok")
    for command in ["pay a", "pay new", "close order", "reopen", "close pay", "check", "refund"].map(Self.command) {
      let before = story
      #expect(story.send(command, by: .merchant(MerchantID("mer_other"))).code == .notFound)
      #expect(story.send(command, by: .buyer(secret: 98)).code == .notFound)
      #expect(story.order == before.order)
    }
    #expect(story.send(Self.command("check"), by: .buyer(secret: 99)).code == nil)
  }

  /// What a provider says of a failure is stored and told to others, so it has an end.
  @Test func whatAProviderSaysHasAnEnd() {
    let long = String(repeating: "é", count: 2000)
    let failure = Failure(code: long, message: "x" + long)
    #expect(failure.code.utf8.count == 100 && failure.message.utf8.count == 999, "no letter is cut in two")
    #expect(long.utf8.starts(with: failure.code.utf8) && failure.message.hasPrefix("xé"))
    #expect(Failure(code: "declined", message: "") == Failure(code: "declined", message: ""))
    #expect(Failure(code: String(repeating: "c", count: 100), message: "").code.utf8.count == 100)
  }
}
