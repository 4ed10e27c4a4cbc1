import PaymentCore
import Testing

/// Stories of money that is wrong or unknown, and of money that goes back.
extension StoryTests {
  // MARK: Money that is wrong, or unknown

  @Test func aWrongAmountGoesBackAndIsShown() {
    for received in [Money(2000, OrderStory.cny), Money(1999, OrderStory.usd)] {
      var story = open()
      story.pay("a")
      story.answer(.succeeded(received))
      #expect(story.payment().surplus == .mismatch)
      #expect(story.order?.status == .open)
      #expect(story.refund().amount == received)
      #expect(story.order?.cases.map(\.reason) == [.wrongAmount])
      #expect(story.pay("b").code == nil, "the order can still be paid")
    }
  }

  @Test func moneyForAPaymentThatIsNotStoredIsACaseUntilThePaymentIsKnown() {
    var story = open()
    story.evidence(1, .succeeded(OrderStory.price))
    story.evidence(1, .succeeded(OrderStory.price))
    #expect(story.order?.cases.map(\.reason) == [.unknownPayment])
    story.pay("a")
    #expect(story.calling() == .charge)
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order?.status == .paid)
    #expect(story.order?.cases[0].resolvedAt == story.now)
  }

  @Test func moneyForAnOrderThatIsNotStoredIsACase() {
    let evidence = PaymentEvidence(
      payment: PaymentID(order: OrderStory.id, ordinal: 2), provider: OrderStory.sandbox, call: nil,
      verdict: .succeeded(OrderStory.price))
    let decision = decide(
      nil, .evidence(.payment(evidence)), by: .payOnce, now: OrderStory.start, rules: OrderStory().rules)
    #expect(decision.strays.first?.reason == .unknownPayment)
    #expect(decision.strays.first?.amount == OrderStory.price)
    #expect(decision.outcome == .success(.noted))
  }

  @Test func aCaseOfMoneyWithoutAnOrderIsResolvedOnceByAPerson() throws {
    let payment = PaymentID(order: OrderStory.id, ordinal: 2)
    let evidence = PaymentEvidence(
      payment: payment, provider: OrderStory.sandbox, call: nil, verdict: .succeeded(OrderStory.price))
    func decided(_ command: Command, _ strays: [Case], by caller: Caller) -> Decision {
      decide(nil, strays: strays, command, by: caller, now: OrderStory.start, rules: OrderStory().rules)
    }
    let stray = try #require(decided(.evidence(.payment(evidence)), [], by: .payOnce).strays.first)
    #expect(decided(.evidence(.payment(evidence)), [stray], by: .payOnce).strays.first == nil, "it is there already")
    let choose = Command.resolve(stray.id, .settledOutside)
    for caller in [Caller.merchant(OrderStory.merchant), .buyer(secret: 1)] {
      #expect(decided(choose, [stray], by: caller).outcome.code == .notFound)
    }
    #expect(decided(choose, [], by: .operator("ann")).outcome.code == .notFound)
    #expect(decided(.resolve(stray.id, .retry), [stray], by: .operator("ann")).outcome.code == .invalidRequest)
    let resolved = try #require(decided(choose, [stray], by: .operator("ann")).strays.first)
    #expect(resolved.resolvedAt == OrderStory.start && resolved.choice == .settledOutside)
    let again = decided(choose, [resolved], by: .operator("ben"))
    #expect(again.outcome == .success(.noted) && again.strays.first == nil, "the same choice again")
    #expect(
      decided(.resolve(stray.id, .acknowledge), [resolved], by: .payOnce).outcome.code == .invalidRequest)
  }

  @Test func anOrderInAnArchiveAnswersThatItIsThere() throws {
    let kept = PaymentID(order: OrderStory.id, ordinal: 2)
    let archived = ArchivedOrder(
      id: OrderStory.id, merchant: OrderStory.merchant, status: .paid,
      kept: .init(payment: kept, provider: OrderStory.sandbox, received: OrderStory.price),
      archivedAt: OrderStory.start, archive: 3)
    func decided(_ command: Command, by caller: Caller) -> Decision {
      decide(nil, archived: archived, command, by: caller, now: OrderStory.start, rules: OrderStory().rules)
    }
    let key = IdempotencyKey("k")!
    let registration = Order.Registration(
      merchant: OrderStory.merchant, reference: "a", amount: OrderStory.price, metadata: Fields())
    for command in [
      .register(registration, number: OrderStory.number, id: OrderStory.id, checkoutSecret: 1), .check(kept),
      .closeOrder(OrderStory.id),
      .pay(OrderStory.id, key: key, provider: OrderStory.sandbox, method: nil), .closePayment(kept),
      .reopenOrder(OrderStory.id, expiresIn: nil), .refund(kept, key: key, .init(amount: nil, reason: nil)),
    ] as [Command] {
      let decision = decided(command, by: .merchant(OrderStory.merchant))
      #expect(decision.order == nil && decision.strays.first == nil)
      guard case .failure(let refusal) = decision.outcome else {
        Issue.record("it is done: \(command)")
        continue
      }
      #expect(refusal.code == .orderArchived && refusal.archived == archived)
      if case .register = command { continue }
      #expect(decided(command, by: .merchant(MerchantID("mer_other"))).outcome.code == .notFound)
      #expect(decided(command, by: .buyer(secret: 1)).outcome.code == .notFound)
    }
    #expect(decided(.wake(OrderStory.id), by: .payOnce).outcome == .success(.noted))
    // What its provider repeats of the money that it keeps is no news. Other money is.
    func stray(
      _ payment: PaymentID, _ provider: ProviderName = OrderStory.sandbox, _ money: Money = OrderStory.price,
      returns: [PaymentEvidence.Return] = []
    ) -> Case? {
      let evidence = PaymentEvidence(
        payment: payment, provider: provider, call: nil, verdict: .succeeded(money), returns: returns)
      return decided(.evidence(.payment(evidence)), by: .payOnce).strays.first
    }
    #expect(stray(kept) == nil)
    let more = Money(OrderStory.price.amount + 1, OrderStory.price.currency)
    for other in [
      stray(PaymentID(order: OrderStory.id, ordinal: 1)), stray(kept, ProviderName("other")),
      stray(kept, OrderStory.sandbox, more),
      stray(kept, returns: [.init(reference: "re_1", amount: OrderStory.price, isDispute: true)]),
    ] {
      #expect(other?.reason == .archivedOrder && other?.note.contains("archive 3") == true)
    }
  }

  // MARK: Refunds

  @Test func refundsReserveTheirAmount() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    #expect(story.refund(key: "1", amount: 1500).code == nil)
    #expect(story.refund(key: "2", amount: 500).code == .refundExceedsPayment)
    #expect(story.refund(key: "1", amount: 1500).isRepeat)
    #expect(story.refund(key: "1", amount: 1).code == .idempotencyKeyReused)
    story.answerRefund(1, .failed(Failure(code: "no", message: "")))
    #expect(story.refund(key: "2", amount: 500).code == nil)
    #expect(story.refund(key: "3").code == nil)
    #expect(story.refund(3).amount.amount == 1499)
    story.answerRefund(3, .succeeded(nil))
    #expect(story.order?.amountRefunded == 1499)
  }

  @Test func aRefundIsQueriedBeforeItIsRepeated() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    story.refund(key: "1")
    story.answerRefund(1, .unknown("reset"))
    story.wake()
    #expect(story.callingRefund() == .queryRefund)
    story.answerRefund(1, .notFound)
    #expect(story.callingRefund() == .refund)
    story.answerRefund(1, .succeeded(nil))
    #expect(story.refund().status == .succeeded)
  }

  @Test func surplusThatTheProviderRefusesToReturnWaitsForAPerson() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1, OrderStory.cny)))
    story.answerRefund(1, .refused(Failure(code: "too_old", message: "")))
    #expect(story.refund().status == .processing)
    #expect(story.order?.cases.last?.reason == .refundRefused)
    let id = story.order!.cases.last!.id
    #expect(story.send(.resolve(id, .retry)).code == nil)
    #expect(story.callingRefund() == .refund || story.callingRefund() == .queryRefund)
  }

  @Test func whatIsRefusedLeavesUnderANewNumberOnceTheOldOneWasAskedAbout() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1, OrderStory.cny)))
    story.answerRefund(1, .refused(Failure(code: "too_old", message: "")))
    story.send(.resolve(story.order!.cases.last!.id, .newRefund))
    #expect(story.refund().failureBasis == .refused && story.refund(2).status == .processing)
    #expect(story.callingRefund(1) == .queryRefund && story.callingRefund(2) == nil)
    story.answerRefund(1, .unknown("reset"))
    #expect(story.callingRefund(2) == nil)
    story.wake()
    #expect(story.callingRefund(1) == .queryRefund && story.callingRefund(2) == nil)
    story.answerRefund(1, .refused(Failure(code: "bad_request", message: "")))
    #expect(story.callingRefund(2) == nil, "the question was refused, which says nothing")
    story.wake()
    #expect(story.callingRefund(1) == .queryRefund)
    story.answerRefund(1, .pending)
    #expect(story.callingRefund(2) == nil, "it may still be done")
    story.wake()
    story.answerRefund(1, .notFound)
    #expect(story.callingRefund(2) == .refund)
    story.answerRefund(2, .succeeded(nil))
    #expect(story.order!.refunds.map(\.status) == [.failed, .succeeded])
    #expect(story.order!.refunds.allSatisfy { $0.calls.nextAt == nil })
  }

  @Test func surplusWhoseRefundFailedIsReturnedUnderANewIdOnlyByAPerson() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1, OrderStory.cny)))
    story.answerRefund(1, .succeeded(nil))
    // By itself the provider may say what it meant before: it is asked.
    story.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    #expect(story.refund().status == .succeeded && story.callingRefund() == .queryRefund)
    story.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    #expect(story.refund().status == .failed && story.refund().failureBasis == .proven)
    #expect(story.order?.cases.last?.reason == .refundFailed)
    story.send(.resolve(story.order!.cases.last!.id, .newRefund))
    #expect(story.refund(2).status == .processing)
    #expect(story.refund(2).id != story.refund(1).id)
  }

  @Test func whatWasReturnedAtTheProviderIsRecordedOnceAndTakenOff() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    let back = PaymentEvidence.Return(reference: "re_1", amount: Money(1000, OrderStory.cny), isDispute: false)
    story.evidence(1, .succeeded(OrderStory.price), returns: [back])
    story.evidence(1, .succeeded(OrderStory.price), returns: [back])
    #expect(story.order?.refunds.count == 1)
    #expect(story.order?.amountRefunded == 1000)
    #expect(story.refund(key: "1", amount: 1000).code == .refundExceedsPayment)
    let dispute = PaymentEvidence.Return(reference: "dp_1", amount: Money(999, OrderStory.cny), isDispute: true)
    story.evidence(1, .succeeded(OrderStory.price), returns: [dispute])
    #expect(story.order?.cases.map(\.reason) == [.disputed])
  }

  @Test func surplusRefusesTheShopsRefunds() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1, OrderStory.cny)))
    #expect(story.refund(key: "1", amount: 1).code == .paymentNotRefundable)
  }
}
