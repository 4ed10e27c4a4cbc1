import PaymentCore
import Testing

/// What providers are told as numbers follows from what a shop says again, so that what a restored database has forgotten
/// is met again.
@Suite struct NumberStoryTests {
  private static let other = ProviderName("other")
  private static let trade = PaymentNumber(order: OrderStory.number, ordinal: 1)

  private func open() -> OrderStory {
    var story = OrderStory()
    story.rules.accounts.append(Account(Self.other, OrderStory.burning))
    story.register()
    return story
  }

  private func paid() -> OrderStory {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    return story
  }

  private func refund(_ story: OrderStory, _ key: String) -> Refund {
    story.order!.refunds.first { $0.key?.text == key }!
  }

  private func said(_ trade: PaymentNumber, at provider: ProviderName = OrderStory.sandbox) -> Command {
    .evidence(.payment(.init(number: trade, provider: provider, verdict: .succeeded(OrderStory.price))))
  }

  private func listed(_ number: RefundNumber?, _ amount: Int64, _ reference: String = "re_1") -> PaymentEvidence.Return
  {
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
    for returned in [0, 500, OrderStory.price.amount] {
      var story = open()
      story.pay("a")
      story.send(old(.succeeded(OrderStory.price), story, call: true))
      #expect(story.order!.status == .open && story.payment().status == .processing && story.calling() == .query)
      let back = returned == 0 ? [] : [listed(RefundNumber(bits: 9), returned)]
      story.send(old(.succeeded(OrderStory.price), story, call: true, back))
      if returned < OrderStory.price.amount {
        #expect(story.order!.status == .paid && story.order!.amountRefunded == returned)
      } else {
        #expect(story.order!.status == .open && story.payment().surplus == .late, "it pays for nothing")
        #expect(story.order!.refunds.map(\.status) == [.succeeded] && story.callingRefund() == nil)
        story.pay("b")
        #expect(story.calling(2) == .charge)
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

  // MARK: Refunds

  @Test func aRefundHasItsNumberFromItsKeyInWhateverOrderTheyAreAskedFor() {
    var first = paid()
    first.refund(key: "A", amount: 500)
    first.refund(key: "B", amount: 300)
    var second = paid()
    second.refund(key: "B", amount: 300)
    second.refund(key: "A", amount: 500)
    for key in ["A", "B"] { #expect(refund(first, key).number == refund(second, key).number) }
    #expect(refund(first, "A").number != refund(first, "B").number)
  }

  @Test func whatTheProviderReturnedByItselfChangesNoNumber() {
    var before = paid()
    before.refund(key: "A", amount: 500)
    var after = paid()
    after.evidence(1, .succeeded(OrderStory.price), returns: [listed(nil, 100)])
    after.refund(key: "A", amount: 500)
    #expect(refund(after, "A").id != refund(before, "A").id)
    #expect(refund(after, "A").number == refund(before, "A").number)
  }

  @Test func surplusHasItsNumbersFromThePaymentAlone() {
    func surplus() -> OrderStory {
      var story = open()
      story.pay("a")
      story.answer(.succeeded(Money(1, OrderStory.cny)))
      return story
    }
    var (one, two) = (surplus(), surplus())
    #expect(one.refund().number == two.refund().number && one.refund().cause == .surplus)
    one.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    one.send(.resolve(one.order!.cases.last!.id, .newRefund))
    #expect(one.refund(2).number != one.refund(1).number)
    // The next one of the other story has found that number in its provider's list.
    two.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    two.evidence(1, .succeeded(Money(1, OrderStory.cny)), returns: [listed(one.refund(2).number, 1)])
    #expect(two.order!.refundable(two.payment()) == 0 && two.order!.keepsTheGuards)
  }

  @Test func aForgottenRefundThatIsListedIsCountedAndBelongsToWhoeverAskedForIt() {
    var before = paid()
    before.refund(key: "A", amount: 500)
    let number = refund(before, "A").number
    var story = paid()
    for _ in 1...2 { story.evidence(1, .succeeded(OrderStory.price), returns: [listed(number, 500)]) }
    #expect(story.order!.amountRefunded == 500 && story.order!.refunds.count == 1)
    #expect(story.refund(key: "B", amount: 1600).code == .refundExceedsPayment)
    #expect(story.refund(key: "A", amount: 400).code == .idempotencyKeyReused)
    #expect(story.refund(key: "A", amount: 500).isRepeat)
    #expect(story.refund().key?.text == "A" && story.callingRefund() == nil)
    #expect(story.refund(key: "A", amount: 500).isRepeat && story.order!.refunds.count == 1)
    #expect(story.refund(key: "A").code == .idempotencyKeyReused, "all that is left is another request")
  }

  @Test func whoAskedForAllThatWasLeftFindsItToo() {
    var before = paid()
    before.refund(key: "A")
    var story = paid()
    story.evidence(1, .succeeded(OrderStory.price), returns: [listed(refund(before, "A").number, 1999)])
    #expect(story.refund(key: "A").isRepeat && story.order!.amountRefunded == 1999)
  }

  @Test func aListedRefundIsTheOneThatIsUnderWay() {
    var story = paid()
    story.refund(key: "A", amount: 500)
    story.evidence(1, .succeeded(OrderStory.price), returns: [listed(story.refund().number, 500)])
    #expect(story.order!.refunds.count == 1 && story.refund().status == .succeeded)
  }

  @Test func anotherAmountThanWasAskedForIsACase() {
    var story = paid()
    story.refund(key: "A", amount: 300)
    story.answerRefund(1, .succeeded(Money(500, OrderStory.cny)))
    #expect(story.order!.amountRefunded == 500, "so much is gone")
    let item = story.order!.cases.last!
    #expect(item.reason == .wrongAmount && item.refund == story.refund().id && item.amount.amount == 500)
    #expect(story.send(.resolve(item.id, .acknowledge), by: .operator("ann")).code == nil)
    story = paid()
    story.refund(key: "A", amount: 300)
    story.answerRefund(1, .succeeded(Money(300, OrderStory.usd)))
    #expect(story.refund().amount == Money(300, OrderStory.cny) && story.order!.cases.last?.reason == .wrongAmount)
  }

  @Test func surplusOfWhichLessCameBackIsACaseWithARest() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1000, OrderStory.cny)))
    story.answerRefund(1, .succeeded(Money(700, OrderStory.cny)))
    let item = story.order!.cases.last!
    #expect(item.reason == .refundFailed && story.order!.refundable(story.payment()) == 300)
    #expect(story.send(.resolve(item.id, .newRefund), by: .operator("ann")).code == nil)
    #expect(story.refund(2).amount.amount == 300 && story.callingRefund(2) == .refund)
    story.answerRefund(2, .succeeded(nil))
    #expect(story.order!.refundable(story.payment()) == 0)
  }

  @Test func whatIsListedOfSurplusIsNotSentAgain() {
    var story = open()
    story.pay("a")
    story.evidence(1, .succeeded(Money(1000, OrderStory.cny)), returns: [listed(nil, 400, "re_hand")])
    #expect(story.order!.refunds.map(\.amount.amount) == [600, 400] && story.callingRefund() == .refund)
  }

  @Test func aNumberThatIsAnotherPaymentsNamesNoSecondRefund() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1, OrderStory.cny)))
    let number = story.refund().number
    story.pay("b")
    story.answer(2, .succeeded(OrderStory.price))
    story.evidence(2, .succeeded(OrderStory.price), returns: [listed(number, 500)])
    #expect(story.order!.keepsTheGuards && story.order!.refunds.count == 1)
    #expect(story.order!.cases.last?.reason == .disputed)
  }

  @Test func aRefundThatIsFoundTwiceUnderTwoNamesIsOne() {
    var before = paid()
    before.refund(key: "A", amount: 500)
    let number = refund(before, "A").number!
    var story = paid()
    story.send(
      .evidence(
        .refund(
          .init(
            number: number, of: Self.trade, provider: OrderStory.sandbox,
            verdict: .succeeded(Money(500, OrderStory.cny))))))
    story.evidence(1, .succeeded(OrderStory.price), returns: [listed(number, 500, "re_7")])
    story.evidence(1, .succeeded(OrderStory.price), returns: [listed(nil, 500, "re_7")])
    #expect(story.order!.refunds.count == 1 && story.order!.amountRefunded == 500)
  }

  @Test func aNoticeOfAForgottenRefundIsTakenIn() {
    var before = paid()
    before.refund(key: "A", amount: 500)
    let number = refund(before, "A").number!
    func say(_ story: inout OrderStory, _ trade: PaymentNumber, _ verdict: RefundEvidence.Verdict) {
      story.send(
        .evidence(.refund(.init(number: number, of: trade, provider: OrderStory.sandbox, verdict: verdict))))
    }
    var story = paid()
    for _ in 1...2 { say(&story, Self.trade, .succeeded(Money(500, OrderStory.cny))) }
    #expect(story.order!.amountRefunded == 500 && story.order!.cases.isEmpty)
    say(&before, Self.trade, .succeeded(Money(500, OrderStory.cny)))
    #expect(refund(before, "A").status == .succeeded, "of one that is known it is an answer")
    // Of a payment that is not known to have taken money it is a case.
    story = open()
    for _ in 1...2 { say(&story, Self.trade, .succeeded(Money(500, OrderStory.cny))) }
    #expect(story.order!.cases.map(\.reason) == [.disputed])
    say(&story, Self.trade, .pending)
    #expect(story.order!.cases.count == 1 && story.order!.refunds.isEmpty)
  }
}
