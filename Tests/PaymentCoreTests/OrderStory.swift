import PaymentCore

/// One order and its surroundings as a test tells them: commands go in, calls come out, answers are given to them.
struct OrderStory: Hashable {
  var order: Order?
  var now: Instant
  var rules: Rules
  var events: [Event] = []

  static let merchant = MerchantID("mer_test")
  static let cny = Currency(code: "CNY")!
  static let usd = Currency(code: "USD")!
  static let price = Money(1999, cny)
  static let start = Instant(milliseconds: 1_795_000_000_000)
  static let numbering = Numbering { bytes in
    var hash = FNV1a()
    hash.add(bytes)
    return UInt128(hash.value)
  }
  static let number = numbering.order(merchant, "r-1")
  static let id = OrderID(at: start, number: number, random: 7)

  static let sandbox = ProviderName("sandbox")

  /// A provider whose create can take money and whose close is confirmed, also of what it never saw.
  static let burning = CapabilitySheet(
    methods: ["ok", "late"], createMovesMoney: true, burning: .close, finalRejections: ["invalid_charge"],
    lateMoney: ["late": .seconds(60)])
  /// One that forgets keys, and where an object must exist before it can be cancelled.
  static let forgetting = CapabilitySheet(
    methods: ["ok", "late"], repeatWindow: .seconds(23 * 3600), createMovesMoney: false, burning: .createThenClose,
    finalRejections: ["invalid_charge"])
  /// One with codes that nobody may have scanned yet.
  static let unscanned = CapabilitySheet(
    methods: ["ok", "late"], createMovesMoney: false, absence: .notBegun, burning: .none,
    finalRejections: ["invalid_charge"])

  init(_ sheet: CapabilitySheet = OrderStory.burning) {
    now = Self.start
    rules = Rules(accounts: [Account(Self.sandbox, sheet)], numbering: Self.numbering)
    rules.schedule.jitterPercent = 0
  }

  /// That of the one account, which takes payments.
  var sheet: CapabilitySheet {
    get { rules.accounts[0].sheet }
    set { rules.accounts[0] = Account(Self.sandbox, newValue) }
  }

  // MARK: Commands

  static func registration(
    amount: Money = price, late: Order.Registration.LatePayment = .refund
  ) -> Order.Registration {
    .init(merchant: merchant, reference: "r-1", amount: amount, expiresIn: 900, latePayment: late)
  }

  /// Decides, stores, and leases what is due, as the journal does.
  @discardableResult
  mutating func send(_ command: Command, by caller: Caller = .payOnce) -> Outcome {
    let decision = decide(order, command, by: caller, now: now, rules: rules)
    events += decision.events
    guard var order = decision.order else { return decision.outcome }
    _ = order.takeCalls(now, rules: rules)
    self.order = order
    return decision.outcome
  }

  mutating func register(late: Order.Registration.LatePayment = .refund) {
    send(.register(Self.registration(late: late), number: Self.number, id: Self.id, checkoutSecret: 99))
  }

  @discardableResult
  mutating func pay(_ key: String, _ method: String? = nil) -> Outcome {
    send(.pay(Self.id, key: IdempotencyKey(key)!, provider: Self.sandbox, method: method))
  }

  /// Answers the call in flight of the first payment.
  mutating func answer(_ verdict: PaymentEvidence.Verdict) { answer(1, verdict) }

  /// Answers the call in flight of a payment.
  mutating func answer(_ ordinal: Int, _ verdict: PaymentEvidence.Verdict) {
    let lease = payment(ordinal).calls.lease
    evidence(ordinal, verdict, call: lease?.number)
  }

  mutating func evidence(
    _ ordinal: Int, _ verdict: PaymentEvidence.Verdict, call: Int? = nil, returns: [PaymentEvidence.Return] = []
  ) {
    send(
      .evidence(
        .payment(
          .init(
            payment: PaymentID(order: Self.id, ordinal: ordinal), provider: Self.sandbox, call: call, verdict: verdict,
            returns: returns))))
  }

  mutating func answerRefund(_ ordinal: Int, _ verdict: RefundEvidence.Verdict) {
    let lease = order!.refunds[ordinal - 1].calls.lease
    send(
      .evidence(
        .refund(
          .init(
            refund: RefundID(order: Self.id, ordinal: ordinal), provider: Self.sandbox, call: lease?.number,
            verdict: verdict))))
  }

  @discardableResult
  mutating func refund(_ ordinal: Int = 1, key: String, amount: Int64? = nil) -> Outcome {
    send(.refund(PaymentID(order: Self.id, ordinal: ordinal), key: IdempotencyKey(key)!, .init(amount: amount)))
  }

  @discardableResult
  mutating func close(_ ordinal: Int = 1) -> Outcome {
    send(.closePayment(PaymentID(order: Self.id, ordinal: ordinal)))
  }

  /// Lets time pass to the moment at which somebody must look.
  mutating func wake() {
    guard let next = order?.wakeAt else { return }
    now = max(now, next)
    send(.wake(Self.id))
  }

  mutating func pass(_ duration: Duration) {
    now = now.advanced(by: duration)
    send(.wake(Self.id))
  }

  // MARK: Views

  func payment(_ ordinal: Int = 1) -> Payment { order!.payments[ordinal - 1] }
  func refund(_ ordinal: Int = 1) -> Refund { order!.refunds[ordinal - 1] }
  /// The call in flight of a payment.
  func calling(_ ordinal: Int = 1) -> Call.Kind? { payment(ordinal).calls.lease?.kind }
  func callingRefund(_ ordinal: Int = 1) -> Call.Kind? { refund(ordinal).calls.lease?.kind }
  var types: [String] { events.map(\.type.rawValue) }

  static func == (left: OrderStory, right: OrderStory) -> Bool { left.order == right.order && left.now == right.now }
  func hash(into hasher: inout Hasher) {
    hasher.combine(order)
    hasher.combine(now)
  }
}

extension Outcome {
  var code: RefusalCode? { if case .failure(let refusal) = self { refusal.code } else { nil } }

  var isRepeat: Bool {
    switch self {
    case .success(.order(_, let isRepeat)), .success(.payment(_, _, let isRepeat)),
      .success(.refund(_, _, let isRepeat)):
      isRepeat
    default: false
    }
  }
}
