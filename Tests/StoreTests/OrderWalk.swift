import OrderRows
import PaymentCore
import PaymentEngine

/// The same numbers from the same seed, on every machine.
struct SeededDice: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}

/// The life of one order as shops, buyers, providers and time could make it: a seed decides which.
struct OrderWalk {
  static let provider = ProviderName("sandbox")
  static let rules = Rules(
    accounts: [
      Account(
        provider,
        CapabilitySheet(
          methods: ["ok", "late"], createMovesMoney: true, burning: .close, lateMoney: ["late": .seconds(60)]))
    ], numbering: .sha256)
  static let start = Instant(milliseconds: 1_795_000_000_000)

  let registration: Order.Registration
  let id: OrderID
  private(set) var order: Order?
  private(set) var events: [Event] = []
  private(set) var now = start
  private var dice: SeededDice

  init(seed: UInt64, merchant: MerchantID) {
    dice = SeededDice(seed)
    var metadata = Fields()
    if seed % 3 == 0 { metadata.append("note", "\"quoted\"\n 中文 😀") }
    registration = Order.Registration(
      merchant: merchant, reference: "r-\(seed)", amount: Money(Int64(seed) * 7 + 1, Currency(code: "CNY")!),
      description: seed % 2 == 0 ? "绿茶 & “tea”" : nil, expiresIn: 900,
      latePayment: seed % 4 == 0 ? .accept : .refund,
      returnURL: seed % 5 == 0 ? "https://shop.example/back?a=1&b=2" : nil,
      cancelURL: seed % 4 == 0 ? "https://shop.example/cart#pay" : nil, metadata: metadata)
    id = OrderID(
      at: Self.start.advanced(by: .milliseconds(seed)), merchant: merchant, reference: "r-\(seed)", random: dice.next())
  }

  /// One command, decided as the journal decides it, and what it made.
  mutating func step() -> Changeset {
    now = now.advanced(by: .milliseconds(Int64.random(in: 0...20_000, using: &dice)))
    if Int.random(in: 0..<12, using: &dice) == 0 { now = now.advanced(by: .seconds(600)) }
    let before = order
    let decision = decide(order, order == nil ? register() : command(), by: .payOnce, now: now, rules: Self.rules)
    var changes = Changeset()
    guard var after = decision.order else { return changes }
    _ = after.takeCalls(now, rules: Self.rules) { _ in
      Int.random(in: 0..<8, using: &dice) == 0 ? .seconds(1) : nil
    }
    order = after
    events += decision.events
    if before != after { changes.orders = [.init(before: before, after: after)] }
    changes.events = decision.events.map { (after, $0) }
    return changes
  }

  private mutating func register() -> Command {
    .register(
      registration, number: Numbering.sha256.order(registration), id: id,
      checkoutSecret: UInt128(dice.next()) << 64 | UInt128(dice.next()))
  }

  private mutating func command() -> Command {
    guard let order, let payment = order.payments.randomElement(using: &dice) else { return pay() }
    switch Int.random(in: 0..<20, using: &dice) {
    case 0...2: return pay()
    case 3: return .closePayment(payment.id)
    case 4: return Int.random(in: 0..<4, using: &dice) == 0 ? .closeOrder(id) : .check(payment.id)
    case 5, 6:
      let amount = Bool.random(using: &dice) ? nil : Int64.random(in: 1...payment.amount.amount, using: &dice)
      return .refund(payment.id, key: key(), .init(amount: amount, reason: amount == nil ? "returned" : nil))
    case 7:
      guard let item = order.cases.randomElement(using: &dice) else { return .wake(id) }
      return .resolve(item.id, item.choices.randomElement(using: &dice)!)
    case 8: return .wake(id)
    case 9...12:
      guard let refund = order.refunds.randomElement(using: &dice) else { return evidence(payment) }
      return evidence(refund)
    default: return evidence(payment)
    }
  }

  private mutating func key() -> IdempotencyKey { IdempotencyKey("k \(Int.random(in: 0..<9, using: &dice))\"~")! }

  private mutating func pay() -> Command {
    .pay(id, key: key(), provider: Self.provider, method: ["ok", "late", nil].randomElement(using: &dice)!)
  }

  private mutating func evidence(_ payment: Payment) -> Command {
    let failure = Failure(code: "declined", message: "No 💳 today")
    let wrong = Money(payment.amount.amount + 1, Currency(code: "USD")!)
    let verdict: PaymentEvidence.Verdict = [
      .succeeded(payment.amount), .succeeded(payment.amount), .succeeded(wrong), .failed(failure), .closed,
      .closedSoftly, .pending(nil), .pending(.redirect(url: "https://bank.example/?a=1")),
      .pending(.qrCode(content: "weixin://x")), .pending(.clientSecret("secret")), .declined(failure, nil), .notFound,
      .rejected(failure), .notSent, .unknown("no answer"),
    ].randomElement(using: &dice)!
    let isDispute = Bool.random(using: &dice)
    let returns =
      Int.random(in: 0..<15, using: &dice) == 0
      ? [PaymentEvidence.Return(reference: "re_1", amount: Money(1, payment.amount.currency), isDispute: isDispute)]
      : []
    return .evidence(
      .payment(
        .init(
          payment: payment.id, provider: payment.provider, call: payment.calls.lease?.number, verdict: verdict,
          reference: Bool.random(using: &dice) ? "ch_123" : nil, capturedAt: now.advanced(by: .milliseconds(-1234)),
          returns: returns)))
  }

  private mutating func evidence(_ refund: Refund) -> Command {
    let failure = Failure(code: "account_closed", message: "The account is closed.")
    let verdict: RefundEvidence.Verdict = [
      .succeeded(nil), .succeeded(refund.amount), .pending, .failed(failure), .refused(failure), .notFound, .notSent,
      .unknown("reset"),
    ].randomElement(using: &dice)!
    return .evidence(
      .refund(
        .init(
          refund: refund.id, provider: order!.payment(refund.payment)!.provider, call: refund.calls.lease?.number,
          verdict: verdict, reference: "rf_1")))
  }
}
