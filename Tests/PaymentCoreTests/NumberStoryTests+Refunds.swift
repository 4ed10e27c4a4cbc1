import PaymentCore
import Testing

/// The numbers of refunds.
extension NumberStoryTests {
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
    #expect(item.reason == .refundFailed && item.amount.amount == 300)
    #expect(story.send(.resolve(item.id, .newRefund), by: .operator("ann")).code == nil)
    #expect(story.refund(2).amount.amount == 300 && story.callingRefund(2) == .refund)
    story.answerRefund(2, .succeeded(nil))
    #expect(story.order!.refundable(story.payment()) == 0)
  }

  @Test func theWholeRestOfSurplusGoesBack() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1000, OrderStory.cny)))
    story.answerRefund(1, .succeeded(Money(200, OrderStory.cny)))
    let item = story.order!.cases.last!
    #expect(item.amount.amount == 800)
    story.send(.resolve(item.id, .newRefund), by: .operator("ann"))
    #expect(story.refund(2).amount.amount == 800)
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
