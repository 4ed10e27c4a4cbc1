import PaymentCore
import Testing

/// Stories of money that is wrong or unknown, and of money that goes back.
extension StoryTests {
  // MARK: Money that is wrong, or unknown

  @Test func aWrongAmountGoesBackAndIsShown() {
    for received in [Money(2000, OrderStory.cny), Money(1999, OrderStory.usd)] {
      var world = open()
      world.pay("a")
      world.answer(.succeeded(received))
      #expect(world.payment().surplus == .mismatch)
      #expect(world.order?.status == .open)
      #expect(world.refund().amount == received)
      #expect(world.order?.cases.map(\.reason) == [.wrongAmount])
      #expect(world.pay("b").code == nil, "the order can still be paid")
    }
  }

  @Test func moneyForAPaymentThatIsNotStoredIsACaseUntilThePaymentIsKnown() {
    var world = open()
    world.evidence(1, .succeeded(OrderStory.price))
    world.evidence(1, .succeeded(OrderStory.price))
    #expect(world.order?.cases.map(\.reason) == [.unknownPayment])
    world.pay("a")
    #expect(world.calling() == .charge)
    world.answer(.succeeded(OrderStory.price))
    #expect(world.order?.status == .paid)
    #expect(world.order?.cases[0].resolvedAt == world.now)
  }

  @Test func moneyForAnOrderThatIsNotStoredIsACase() {
    let evidence = PaymentEvidence(
      payment: PaymentID(order: OrderStory.id, ordinal: 2), provider: OrderStory.sandbox, call: nil,
      verdict: .succeeded(OrderStory.price))
    let decision = decide(
      nil, .evidence(.payment(evidence)), by: .payOnce, now: OrderStory.start, rules: OrderStory().rules)
    #expect(decision.stray?.reason == .unknownPayment)
    #expect(decision.stray?.amount == OrderStory.price)
    #expect(decision.outcome == .success(.noted))
  }

  @Test func aCaseOfMoneyWithoutAnOrderIsResolvedOnceByAPerson() throws {
    let payment = PaymentID(order: OrderStory.id, ordinal: 2)
    let evidence = PaymentEvidence(
      payment: payment, provider: OrderStory.sandbox, call: nil, verdict: .succeeded(OrderStory.price))
    func decided(_ command: Command, _ strays: [Case], by caller: Caller) -> Decision {
      decide(nil, strays: strays, command, by: caller, now: OrderStory.start, rules: OrderStory().rules)
    }
    let stray = try #require(decided(.evidence(.payment(evidence)), [], by: .payOnce).stray)
    #expect(decided(.evidence(.payment(evidence)), [stray], by: .payOnce).stray == nil, "it is there already")
    let choose = Command.resolve(stray.id, .settledOutside)
    for caller in [Caller.merchant(OrderStory.merchant), .buyer(secret: 1)] {
      #expect(decided(choose, [stray], by: caller).outcome.code == .notFound)
    }
    #expect(decided(choose, [], by: .operator("ann")).outcome.code == .notFound)
    #expect(decided(.resolve(stray.id, .retry), [stray], by: .operator("ann")).outcome.code == .invalidRequest)
    let resolved = try #require(decided(choose, [stray], by: .operator("ann")).stray)
    #expect(resolved.resolvedAt == OrderStory.start && resolved.choice == .settledOutside)
    let again = decided(choose, [resolved], by: .operator("ben"))
    #expect(again.outcome == .success(.noted) && again.stray == nil, "the same choice again")
    #expect(
      decided(.resolve(stray.id, .acknowledge), [resolved], by: .payOnce).outcome.code == .invalidRequest)
  }

  // MARK: Refunds

  @Test func refundsReserveTheirAmount() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(OrderStory.price))
    #expect(world.refund(key: "1", amount: 1500).code == nil)
    #expect(world.refund(key: "2", amount: 500).code == .refundExceedsPayment)
    #expect(world.refund(key: "1", amount: 1500).isRepeat)
    #expect(world.refund(key: "1", amount: 1).code == .idempotencyKeyReused)
    world.answerRefund(1, .failed(Failure(code: "no", message: "")))
    #expect(world.refund(key: "2", amount: 500).code == nil)
    #expect(world.refund(key: "3").code == nil)
    #expect(world.refund(3).amount.amount == 1499)
    world.answerRefund(3, .succeeded(nil))
    #expect(world.order?.amountRefunded == 1499)
  }

  @Test func aRefundIsQueriedBeforeItIsRepeated() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(OrderStory.price))
    world.refund(key: "1")
    world.answerRefund(1, .unknown("reset"))
    world.wake()
    #expect(world.callingRefund() == .queryRefund)
    world.answerRefund(1, .notFound)
    #expect(world.callingRefund() == .refund)
    world.answerRefund(1, .succeeded(nil))
    #expect(world.refund().status == .succeeded)
  }

  @Test func surplusThatTheProviderRefusesToReturnWaitsForAPerson() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(Money(1, OrderStory.cny)))
    world.answerRefund(1, .refused(Failure(code: "too_old", message: "")))
    #expect(world.refund().status == .processing)
    #expect(world.order?.cases.last?.reason == .refundRefused)
    let id = world.order!.cases.last!.id
    #expect(
      world.send(.resolve(id, .newRefund)).code == .invalidRequest, "not before the old one is proven to have failed")
    #expect(world.send(.resolve(id, .retry)).code == nil)
    #expect(world.callingRefund() == .refund || world.callingRefund() == .queryRefund)
  }

  @Test func surplusWhoseRefundFailedIsReturnedUnderANewIdOnlyByAPerson() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(Money(1, OrderStory.cny)))
    world.answerRefund(1, .succeeded(nil))
    world.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    #expect(world.refund().status == .failed)
    #expect(world.order?.cases.last?.reason == .refundFailed)
    world.send(.resolve(world.order!.cases.last!.id, .newRefund))
    #expect(world.refund(2).status == .processing)
    #expect(world.refund(2).id != world.refund(1).id)
  }

  @Test func whatWasReturnedAtTheProviderIsRecordedOnceAndTakenOff() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(OrderStory.price))
    let back = PaymentEvidence.Return(reference: "re_1", amount: Money(1000, OrderStory.cny), isDispute: false)
    world.evidence(1, .succeeded(OrderStory.price), returns: [back])
    world.evidence(1, .succeeded(OrderStory.price), returns: [back])
    #expect(world.order?.refunds.count == 1)
    #expect(world.order?.amountRefunded == 1000)
    #expect(world.refund(key: "1", amount: 1000).code == .refundExceedsPayment)
    let dispute = PaymentEvidence.Return(reference: "dp_1", amount: Money(999, OrderStory.cny), isDispute: true)
    world.evidence(1, .succeeded(OrderStory.price), returns: [dispute])
    #expect(world.order?.cases.map(\.reason) == [.disputed])
  }

  @Test func surplusRefusesTheShopsRefunds() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(Money(1, OrderStory.cny)))
    #expect(world.refund(key: "1", amount: 1).code == .paymentNotRefundable)
  }
}
