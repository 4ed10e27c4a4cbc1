import PaymentCore
import Testing

/// What a refund request believes to be so, and how many there can be.
@Suite struct RefundStateTests {
  private func paid() -> OrderStory {
    var story = OrderStory()
    story.register()
    story.pay("a", "ok")
    story.answer(.succeeded(OrderStory.price))
    return story
  }

  private func refund(_ story: inout OrderStory, _ key: String, _ amount: Int64?, expecting: Int64?) -> Outcome {
    let wanted = Refund.Request(amount: amount, expectedRefunded: expecting)
    return story.send(
      .refund(PaymentID(order: OrderStory.id, ordinal: 1), key: IdempotencyKey(key)!, wanted))
  }

  /// Two clerks return the same cup.
  @Test func twoKeysForOneRefundAreToldApart() {
    var story = paid()
    #expect(refund(&story, "clerk-1", 500, expecting: 0).code == nil)
    let second = refund(&story, "clerk-2", 500, expecting: 0)
    #expect(second.code == .refundStateChanged)
    guard case .failure(let refusal) = second else { return }
    #expect(refusal.refunds.map(\.amount.amount) == [500], "what is there already is in the answer")
    #expect(refusal.payment?.amountRefundable == 1499)
    #expect(story.order!.refunds.count == 1)
    #expect(refund(&story, "clerk-2", 500, expecting: 500).code == nil)
  }

  @Test func aRepeatIsTheSameRequestWhateverHappenedSince() {
    var story = paid()
    _ = refund(&story, "r", 500, expecting: 0)
    story.answerRefund(1, .succeeded(nil))
    #expect(refund(&story, "r", 500, expecting: 0).isRepeat)
    #expect(refund(&story, "r", 501, expecting: 0).code == .idempotencyKeyReused)
  }

  @Test func aRefundThatFailedIsNotOnItsWay() {
    var story = paid()
    _ = refund(&story, "r", 500, expecting: 0)
    story.answerRefund(1, .failed(Failure(code: "account_closed", message: "The account is closed.")))
    #expect(refund(&story, "s", 500, expecting: 0).code == nil)
  }

  @Test func withoutABeliefNothingIsCompared() {
    var story = paid()
    #expect(refund(&story, "r", 500, expecting: nil).code == nil)
    #expect(refund(&story, "s", 500, expecting: nil).code == nil)
  }

  @Test func aPaymentSaysWhatWentBackOfItAndWhatMay() {
    var story = paid()
    _ = refund(&story, "r", 500, expecting: nil)
    let before = story.order!.view(story.payment())
    #expect((before.amountRefunded, before.amountRefundable) == (0, 1499))
    story.answerRefund(1, .succeeded(nil))
    let after = story.order!.view(story.payment())
    #expect((after.amountRefunded, after.amountRefundable) == (500, 1499))
  }

  @Test func surplusIsNothingToAskFor() {
    var story = OrderStory()
    story.register()
    story.pay("a", "ok")
    story.answer(.succeeded(Money(1, OrderStory.cny)))
    #expect(story.order!.view(story.payment()).amountRefundable == 0)
  }

  @Test func theProvidersWordsAreInTheCase() {
    var story = OrderStory()
    story.register()
    story.pay("a", "ok")
    story.answer(.succeeded(Money(1, OrderStory.cny)))
    story.answerRefund(1, .refused(Failure(code: "no_balance", message: "There is not enough money.")))
    let data = story.events.last { $0.type == .caseOpened }!.data
    #expect(data["code"] == .text("no_balance"))
    #expect(data["message"] == .text("There is not enough money."))
    #expect(data["note"] == .text("no_balance: There is not enough money."))
  }

  /// A clerk at the provider's dashboard has no bound, and an order has.
  @Test func returnsBeyondTheBoundAreACaseAndNotTheEnd() {
    var story = paid()
    let returns = (1...1500).map {
      PaymentEvidence.Return(reference: "re_\($0)", amount: Money(1, OrderStory.cny), isDispute: false)
    }
    story.evidence(1, .succeeded(OrderStory.price), returns: returns)
    #expect(story.order!.refunds.count == 400)
    #expect(story.order!.cases.contains { $0.reason == .disputed })
    // What comes after them still has numbers: the shop's refunds, and money that goes back by itself.
    #expect(refund(&story, "r", 1, expecting: nil).code == nil)
    story.send(.adopt(PaymentID(order: OrderStory.id, ordinal: 2), OrderStory.sandbox))
    story.evidence(2, .succeeded(OrderStory.price))
    #expect(story.payment(2).surplus == .duplicate)
    #expect(story.order!.refunds.last!.cause == .surplus)
  }
}
