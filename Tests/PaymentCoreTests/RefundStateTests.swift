import PaymentCore
import Testing

/// What a refund request believes to be so, and how many there can be.
@Suite struct RefundStateTests {
  private func paid() -> OrderStory {
    var world = OrderStory()
    world.register()
    world.pay("a", "ok")
    world.answer(.succeeded(OrderStory.price))
    return world
  }

  private func refund(_ world: inout OrderStory, _ key: String, _ amount: Int64?, expecting: Int64?) -> Outcome {
    let wanted = Refund.Request(amount: amount, expectedRefunded: expecting)
    return world.send(
      .refund(PaymentID(order: OrderStory.id, ordinal: 1), key: IdempotencyKey(key)!, wanted))
  }

  /// Two clerks return the same cup.
  @Test func twoKeysForOneRefundAreToldApart() {
    var world = paid()
    #expect(refund(&world, "clerk-1", 500, expecting: 0).code == nil)
    let second = refund(&world, "clerk-2", 500, expecting: 0)
    #expect(second.code == .refundStateChanged)
    guard case .failure(let refusal) = second else { return }
    #expect(refusal.refunds.map(\.amount.amount) == [500], "what is there already is in the answer")
    #expect(refusal.payment?.amountRefundable == 1499)
    #expect(world.order!.refunds.count == 1)
    #expect(refund(&world, "clerk-2", 500, expecting: 500).code == nil)
  }

  @Test func aRepeatIsTheSameRequestWhateverHappenedSince() {
    var world = paid()
    _ = refund(&world, "r", 500, expecting: 0)
    world.answerRefund(1, .succeeded(nil))
    #expect(refund(&world, "r", 500, expecting: 0).isRepeat)
    #expect(refund(&world, "r", 501, expecting: 0).code == .idempotencyKeyReused)
  }

  @Test func aRefundThatFailedIsNotOnItsWay() {
    var world = paid()
    _ = refund(&world, "r", 500, expecting: 0)
    world.answerRefund(1, .failed(Failure(code: "account_closed", message: "The account is closed.")))
    #expect(refund(&world, "s", 500, expecting: 0).code == nil)
  }

  @Test func withoutABeliefNothingIsCompared() {
    var world = paid()
    #expect(refund(&world, "r", 500, expecting: nil).code == nil)
    #expect(refund(&world, "s", 500, expecting: nil).code == nil)
  }

  @Test func aPaymentSaysWhatWentBackOfItAndWhatMay() {
    var world = paid()
    _ = refund(&world, "r", 500, expecting: nil)
    let before = world.order!.view(world.payment())
    #expect((before.amountRefunded, before.amountRefundable) == (0, 1499))
    world.answerRefund(1, .succeeded(nil))
    let after = world.order!.view(world.payment())
    #expect((after.amountRefunded, after.amountRefundable) == (500, 1499))
  }

  @Test func surplusIsNothingToAskFor() {
    var world = OrderStory()
    world.register()
    world.pay("a", "ok")
    world.answer(.succeeded(Money(1, OrderStory.cny)))
    #expect(world.order!.view(world.payment()).amountRefundable == 0)
  }

  @Test func theProvidersWordsAreInTheCase() {
    var world = OrderStory()
    world.register()
    world.pay("a", "ok")
    world.answer(.succeeded(Money(1, OrderStory.cny)))
    world.answerRefund(1, .refused(Failure(code: "no_balance", message: "There is not enough money.")))
    let data = world.events.last { $0.type == .caseOpened }!.data
    #expect(data["code"] == .text("no_balance"))
    #expect(data["message"] == .text("There is not enough money."))
    #expect(data["note"] == .text("no_balance: There is not enough money."))
  }

  /// A clerk at the provider's dashboard has no bound, and an order has.
  @Test func returnsBeyondTheBoundAreACaseAndNotTheEnd() {
    var world = paid()
    let returns = (1...1500).map {
      PaymentEvidence.Return(reference: "re_\($0)", amount: Money(1, OrderStory.cny), isDispute: false)
    }
    world.evidence(1, .succeeded(OrderStory.price), returns: returns)
    #expect(world.order!.refunds.count == 400)
    #expect(world.order!.cases.contains { $0.reason == .disputed })
    // What comes after them still has numbers: the shop's refunds, and money that goes back by itself.
    #expect(refund(&world, "r", 1, expecting: nil).code == nil)
    world.send(.adopt(PaymentID(order: OrderStory.id, ordinal: 2), OrderStory.sandbox))
    world.evidence(2, .succeeded(OrderStory.price))
    #expect(world.payment(2).surplus == .duplicate)
    #expect(world.order!.refunds.last!.cause == .surplus)
  }
}
