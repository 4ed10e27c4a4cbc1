import PaymentCore
import Testing

/// What providers are told as numbers follows from what a shop says again, so that what a restored database has forgotten
/// is met again.
@Suite struct NumberStoryTests {
  static let other = ProviderName("other")
  static let trade = PaymentNumber(order: OrderStory.number, ordinal: 1)

  func open() -> OrderStory {
    var story = OrderStory()
    story.rules.accounts.append(Account(Self.other, OrderStory.burning))
    story.register()
    return story
  }

  func paid() -> OrderStory {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    return story
  }

  func refund(_ story: OrderStory, _ key: String) -> Refund {
    story.order!.refunds.first { $0.key?.text == key }!
  }

  func said(_ trade: PaymentNumber, at provider: ProviderName = OrderStory.sandbox) -> Command {
    .evidence(.payment(.init(number: trade, provider: provider, verdict: .succeeded(OrderStory.price))))
  }

  func listed(_ number: RefundNumber?, _ amount: Int64, _ reference: String = "re_1") -> PaymentEvidence.Return {
    .init(reference: reference, number: number, amount: Money(amount, OrderStory.cny), isDispute: false)
  }

  // MARK: Payments

  @Test func anOrderThatIsRegisteredAgainHasTheNumbersOfTheForgottenOne() {
    let before = paid()
    var story = OrderStory()
    story.pass(.seconds(3600))
    let id = OrderID(at: story.now, number: OrderStory.number, random: 99)
    story.send(.register(OrderStory.registration(), number: OrderStory.number, id: id, checkoutSecret: 5))
    story.send(.pay(id, key: IdempotencyKey("z")!, provider: OrderStory.sandbox, method: nil))
    #expect(story.order!.id != before.order!.id)
    #expect(story.order!.number(of: story.order!.payments[0].id) == before.order!.number(of: before.payment().id))
    // What the provider says of the old one is about the new one.
    story.send(said(Self.trade))
    #expect(story.order?.status == .paid)
  }

  @Test func aProviderIsToldAndNamesThePaymentByItsNumber() {
    var story = open()
    story.pay("a")
    let call = story.order!.query(story.payment())
    #expect(call.tradeNumber == Self.trade)
    #expect(said(Self.trade).name == .number(OrderStory.number))
    story.send(said(PaymentNumber(order: OrderNumber(bits: 5), ordinal: 1)))
    #expect(story.payment().isLive, "that is another order's")
    story.send(said(Self.trade))
    #expect(story.order?.status == .paid)
  }

  /// Money came before the shop registered the order again.
  private func strays(_ commands: [Command]) -> [Case] {
    var strays: [Case] = []
    for command in commands {
      strays += decide(nil, strays: strays, command, by: .payOnce, now: OrderStory.start, rules: open().rules).strays
    }
    return strays
  }

  private func registered(_ strays: [Case]) -> (story: OrderStory, strays: [Case]) {
    var story = open()
    let command = Command.register(
      OrderStory.registration(), number: OrderStory.number, id: OrderStory.id, checkoutSecret: 99)
    let decision = decide(nil, strays: strays, command, by: .payOnce, now: story.now, rules: story.rules)
    story.order = decision.order
    _ = story.order!.takeCalls(story.now, rules: story.rules)
    return (story, decision.strays)
  }

  @Test func moneyThatCameBeforeItsOrderIsAskedAboutAtOnce() {
    let came = strays([said(Self.trade), said(Self.trade)])
    #expect(came.count == 1 && came[0].reason == .unknownPayment)
    var (story, settled) = registered(came)
    #expect(settled.map(\.id) == came.map(\.id) && settled[0].resolvedAt != nil && settled[0].choice == nil)
    #expect(story.order!.cases.isEmpty && story.calling() == .query)
    story.pay("a")
    #expect(story.calling(2) == nil, "nothing leaves before the provider has answered")
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order?.status == .paid && story.order?.keptPayment?.id.ordinal == 1)
    #expect(story.payment(2).calls.firstSent == nil)
  }

  @Test func theEarlierNumbersOfSuchMoneyAreAskedAbout() {
    let (story, _) = registered(strays([said(PaymentNumber(order: OrderStory.number, ordinal: 3))]))
    #expect(story.order!.payments.count == 3)
    #expect((1...3).allSatisfy { story.calling($0) == .query })
  }

  @Test func moneyOfTwoProvidersUnderOneNumberIsACase() {
    let came = strays([said(Self.trade), said(PaymentNumber(order: OrderStory.number, ordinal: 2), at: Self.other)])
    var all = came
    // One of a provider that is turned off here.
    all[1] = Case(
      id: came[1].id, reason: .unknownPayment, payment: came[1].payment, refund: nil, provider: ProviderName("gone"),
      amount: OrderStory.price, note: "", openedAt: OrderStory.start)
    let (story, settled) = registered(all)
    #expect(settled.count == 2 && story.order!.payments.count == 1)
    #expect(story.order!.cases.map(\.provider) == [ProviderName("gone")])
    #expect(story.order!.cases[0].payment == PaymentID(order: OrderStory.id, ordinal: 2))
  }

  /// The operator sent the money back by other means, or has only seen the case; then the shop registers the order again.
  @Test func whatAPersonDecidedAboutAStrayHolds() {
    func decided(_ choice: Case.Choice) -> OrderStory {
      let came = strays([said(Self.trade)])
      let resolved = decide(
        nil, strays: came, .resolve(came[0].id, choice, note: "by hand"), by: .operator("ann"), now: OrderStory.start,
        rules: open().rules
      ).strays
      var (story, settled) = registered(resolved)
      #expect(settled.isEmpty && story.calling() == .query)
      story.answer(.succeeded(OrderStory.price))
      return story
    }
    var story = decided(.settledOutside)
    #expect(story.order!.status == .open && story.payment().surplus == .late, "it pays for nothing")
    #expect(story.order!.refunds.map(\.failureBasis) == [.settled] && story.callingRefund() == nil)
    #expect(story.order!.cases.map(\.choice) == [.settledOutside] && story.order!.cases[0].resolvedBy == "ann")
    #expect(story.order!.cases[0].resolvedNote == "by hand")
    story.pay("a")
    #expect(story.calling(2) == .charge, "and the buyer can pay, under another number")
    story = decided(.acknowledge)
    #expect(story.order!.status == .paid, "it was only seen")
  }

  @Test func moneyThatAPersonReturnedPaysForNothingAlsoInItsOrder() {
    var story = open()
    story.send(said(Self.trade))
    story.send(.resolve(story.order!.cases[0].id, .settledOutside), by: .operator("ann"))
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order!.status == .open && story.payment().surplus == .late)
    #expect(story.order!.refunds.map(\.failureBasis) == [.settled])
  }

  /// The provider has forgotten the number, and takes the money anew.
  @Test func whatIsTakenAfterAPersonHasDecidedIsOtherMoney() {
    var story = open()
    story.send(said(Self.trade))
    story.send(.resolve(story.order!.cases[0].id, .settledOutside), by: .operator("ann"))
    story.pass(.seconds(60))
    story.pay("a")
    story.send(
      .evidence(
        .payment(
          .init(
            payment: story.payment().id, provider: OrderStory.sandbox, call: 1, verdict: .succeeded(OrderStory.price),
            capturedAt: story.now))))
    #expect(story.order!.status == .paid)
  }

  @Test func aStrayThatWasSeenDisturbsNobodyLater() {
    let came = strays([said(Self.trade)])
    let seen = decide(
      nil, strays: came, .resolve(came[0].id, .acknowledge), by: .operator("ann"), now: OrderStory.start,
      rules: open().rules
    ).strays
    var story = open()
    story.pay("a")
    story.answer(.failed(Failure(code: "declined", message: "")))
    let again = Command.register(
      OrderStory.registration(), number: OrderStory.number, id: OrderStory.id, checkoutSecret: 1)
    let order = decide(story.order, strays: seen, again, by: .payOnce, now: story.now, rules: story.rules).order
    #expect(order == story.order)
  }

  @Test func theNumberOfNoPaymentIsOnlyACase() {
    let far = PaymentNumber(order: OrderStory.number, ordinal: Order.maximumPayments + 1)
    let (story, settled) = registered(strays([said(far)]))
    #expect(settled.count == 1 && story.order!.payments.isEmpty)
    #expect(story.order!.cases.map { $0.payment?.ordinal } == [far.ordinal])
  }

  @Test func twoProvidersUnderOneNumberAreTwoCases() {
    let came = strays([
      said(Self.trade), said(Self.trade, at: Self.other), said(Self.trade), said(Self.trade, at: Self.other),
    ])
    #expect(came.map(\.provider) == [OrderStory.sandbox, Self.other] && Set(came.map(\.id)).count == 2)
    let (story, settled) = registered(came)
    #expect(settled.count == 2 && story.order!.payments.map(\.provider) == [OrderStory.sandbox])
    #expect(story.order!.cases.map(\.provider) == [Self.other])
  }

  /// The stray and the order were written side by side, each without seeing the other.
  @Test func aStrayBesideItsOrderIsTakenInWhenBothAreSeen() {
    let came = strays([said(Self.trade)])
    var story = open()
    let again = Command.register(
      OrderStory.registration(), number: OrderStory.number, id: OrderStory.id, checkoutSecret: 1)
    let decision = decide(story.order, strays: came, again, by: .payOnce, now: story.now, rules: story.rules)
    story.order = decision.order
    #expect(decision.strays.count == 1 && story.order!.payments.count == 1 && story.payment().isWatched)
    // One that had ended before it was sent is asked about.
    story = open()
    story.pay("a")
    story.answer(.notSent)
    story.close()
    #expect(story.payment().status == .closed && !story.payment().isWatched)
    story.order = decide(story.order, strays: came, again, by: .payOnce, now: story.now, rules: story.rules).order
    #expect(story.payment().isWatched && story.order!.payments.count == 1)
  }

  // MARK: A forgotten life

  private func old(
    _ verdict: PaymentEvidence.Verdict, _ story: OrderStory, call: Bool, _ returns: [PaymentEvidence.Return] = []
  )
    -> Command
  {
    .evidence(
      .payment(
        .init(
          payment: story.payment().id, provider: OrderStory.sandbox,
          call: call ? story.payment().calls.lease?.number : nil,
          verdict: verdict, capturedAt: OrderStory.start.advanced(by: .seconds(-3600)), returns: returns)))
  }

  /// The buyer pays again what was paid, and perhaps returned, before this database forgot it.
  @Test func moneyThatIsOlderThanItsPaymentIsAskedAboutFirst() {
    let surplus = OrderStory.numbering.surplusRefund(of: Self.trade, after: 0)
    for (number, returned) in [(nil, 0), (RefundNumber(bits: 9), 500), (RefundNumber(bits: 9), 1999), (surplus, 1999)] {
      var story = open()
      story.pay("a")
      story.send(old(.succeeded(OrderStory.price), story, call: true))
      #expect(story.order!.status == .open && story.payment().status == .processing && story.calling() == .query)
      let back = returned == 0 ? [] : [listed(number, Int64(returned))]
      story.send(old(.succeeded(OrderStory.price), story, call: true, back))
      if number == surplus {
        #expect(story.order!.status == .open && story.payment().surplus == .late, "it went back, and pays for nothing")
        #expect(story.order!.refunds.map(\.status) == [.succeeded] && story.order!.refunds[0].cause == .surplus)
        #expect(story.callingRefund() == nil)
        story.pay("b")
        #expect(story.calling(2) == .charge)
      } else {
        #expect(story.order!.status == .paid && story.order!.amountRefunded == returned, "its shop had returned it")
      }
    }
  }

  @Test func aNoticeOfSuchMoneyIsAskedAboutToo() {
    var story = open()
    story.pay("a")
    story.answer(.notSent)
    story.close()
    #expect(story.payment().status == .closed)
    story.send(old(.succeeded(OrderStory.price), story, call: false))
    #expect(story.payment().status == .closed && story.calling() == .query)
    story.send(old(.succeeded(OrderStory.price), story, call: true))
    #expect(story.order!.status == .paid)
  }

  /// Its charge has not left, so nobody would ask about it when it ends.
  @Test func whatWasSaidOfAnUnsentPaymentIsNotLost() {
    for isStray in [true, false] {
      var story = open()
      story.pay("a")
      story.answer(.notSent)
      #expect(!story.payment().mayHaveLeft && story.payment().isLive)
      if isStray {
        let again = Command.register(
          OrderStory.registration(), number: OrderStory.number, id: OrderStory.id, checkoutSecret: 1)
        var order = decide(
          story.order, strays: strays([said(Self.trade)]), again, by: .payOnce, now: story.now, rules: story.rules
        ).order!
        _ = order.takeCalls(story.now, rules: story.rules)
        story.order = order
      } else {
        story.send(old(.succeeded(OrderStory.price), story, call: false))
      }
      #expect(story.payment().isWatched && story.calling() == .query, "nothing more is sent for it")
      story.pay("b")
      #expect(story.calling(2) == nil, "and nothing beside it")
      story.send(old(.succeeded(OrderStory.price), story, call: true))
      #expect(story.order!.status == .paid && story.payment(2).calls.firstSent == nil)
    }
  }

  @Test func moneyThatIsAsNewAsItsPaymentIsNot() {
    var story = open()
    story.pay("a")
    story.send(
      .evidence(
        .payment(
          .init(
            payment: story.payment().id, provider: OrderStory.sandbox, call: 1, verdict: .succeeded(OrderStory.price),
            capturedAt: story.now.advanced(by: .seconds(-9))))))
    #expect(story.order!.status == .paid, "clocks differ")
  }
}
