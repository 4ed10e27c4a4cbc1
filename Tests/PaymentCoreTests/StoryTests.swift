import PaymentCore
import Testing

/// The rules of the domain, each as the story of one order.
@Suite struct StoryTests {
  private let action = PaymentEvidence.Verdict.pending(.redirect(url: "https://bank.example"))
  private let declined = Failure(code: "declined", message: "no")

  private func open(_ sheet: CapabilitySheet = OrderStory.burning, late: Order.Registration.LatePayment = .refund)
    -> OrderStory
  {
    var world = OrderStory(sheet)
    world.register(late: late)
    return world
  }

  // MARK: The unknown

  @Test func aLostAnswerIsAStoredStateThatIsAskedFor() {
    var world = open()
    world.pay("a")
    #expect(world.calling() == .charge)
    world.answer(.unknown("reset"))
    #expect(world.payment().status == .processing)
    #expect(world.payment().unknownSince == world.now)
    #expect(world.calling() == nil)
    world.wake()
    #expect(world.now.since(OrderStory.start) == .seconds(1))
    #expect(world.calling() == .query)
    world.answer(.succeeded(OrderStory.price))
    #expect(world.order?.status == .paid)
    #expect(world.payment().unknownSince == nil)
    #expect(world.order?.wakeAt == nil)
    #expect(
      world.types == [
        "order.created", "payment.started", "payment.unknown", "payment.succeeded", "order.paid",
      ])
  }

  @Test func aLostRequestIsSentAgainUnderTheSameId() {
    var world = open()
    world.pay("a")
    world.answer(.unknown("time-out"))
    world.wake()
    world.answer(.notFound)
    #expect(world.calling() == .charge)
    #expect(world.order?.payments.count == 1)
  }

  @Test func aForgottenKeyIsNeverSentAgain() {
    var world = open(OrderStory.forgetting)
    world.order = nil
    world.send(
      .register(
        .init(merchant: OrderStory.merchant, reference: "r-1", amount: OrderStory.price, expiresIn: 30 * 86_400),
        id: OrderStory.id,
        checkoutSecret: 99))
    world.pay("a")
    world.answer(.unknown("time-out"))
    while world.now.since(OrderStory.start) < .seconds(24 * 3600) {
      world.wake()
      #expect(world.calling() == .query || world.now.since(OrderStory.start) < .seconds(23 * 3600))
      world.answer(world.calling() == .query ? .notFound : .unknown("time-out"))
    }
    #expect(world.payment().unknownSince != nil)
  }

  @Test func aCallWhoseMakerDiedLapsesAndIsAskedFor() {
    var world = open()
    world.pay("a")
    world.pass(.seconds(19))
    #expect(world.calling() == .charge)
    world.pass(.seconds(1))
    #expect(world.calling() == .query)
    #expect(world.payment().unknownSince != nil)
    // To ask harms nobody; but whoever froze may still be about to send it.
    while world.now < OrderStory.start.advanced(by: .seconds(40)) {
      #expect(world.calling() == .query)
      world.answer(.notFound)
      world.wake()
    }
    // Only what was asked for after that speaks for it.
    #expect(world.calling() == .query)
    world.answer(.notFound)
    #expect(world.calling() == .charge)
  }

  /// An upgrade can bring another order of methods, or another default.
  @Test func theSameKeyIsTheSameRequestAfterAnUpgrade() {
    var world = open()
    world.pay("a")
    world.sheet = CapabilitySheet(
      methods: ["new", "ok", "late"], createMovesMoney: true, burning: .close)
    #expect(world.pay("a").isRepeat)
    #expect(world.pay("a", "ok").isRepeat, "the method that was meant then")
    #expect(world.pay("a", "late").code == .idempotencyKeyReused)
    #expect(world.pay("a", "new").code == .idempotencyKeyReused)
  }

  @Test func theSameReferenceIsTheSameOrderAfterAnUpgrade() {
    var world = OrderStory()
    let registration = Order.Registration(merchant: OrderStory.merchant, reference: "r-1", amount: OrderStory.price)
    let register = Command.register(registration, id: OrderStory.id, checkoutSecret: 99)
    world.send(register)
    #expect(world.order!.expiresAt == OrderStory.start.advanced(by: .seconds(900)))
    world.rules.schedule.orderLife = .seconds(3600)
    #expect(world.send(register).isRepeat)
    #expect(world.order!.expiresAt == OrderStory.start.advanced(by: .seconds(900)))
  }

  @Test func whenTheProviderTookItIsKept() {
    var world = open()
    world.pay("a")
    let moment = OrderStory.start.advanced(by: .seconds(-3))
    world.send(
      .evidence(
        .payment(
          .init(
            payment: PaymentID(order: OrderStory.id, ordinal: 1), provider: OrderStory.sandbox, call: 1,
            verdict: .succeeded(OrderStory.price), capturedAt: moment))))
    #expect(world.payment().capturedAt == moment)
  }

  @Test func theScheduleIsTheDocumentedOne() {
    var world = open()
    world.order = nil
    world.send(
      .register(
        .init(merchant: OrderStory.merchant, reference: "r-1", amount: OrderStory.price, expiresIn: 30 * 86_400),
        id: OrderStory.id,
        checkoutSecret: 99))
    world.pay("a")
    world.answer(.unknown("time-out"))
    var waits: [Int64] = []
    for _ in 0..<22 {
      let before = world.now
      world.wake()
      waits.append(world.now.since(before).wholeMilliseconds / 1000)
      world.answer(.pending(nil))
    }
    #expect(
      waits == [1, 2, 3, 5] + Array(repeating: 5, count: 10) + [60, 300, 900, 3600, 21_600, 86_400, 86_400, 86_400])
  }

  @Test func jitterStaysWithinATenthAndDiffersBetweenOrders() {
    var schedule = Schedule()
    schedule.jitterPercent = 10
    var world = OrderStory()
    world.rules.schedule = schedule
    world.register()
    world.pay("a")
    world.answer(.unknown("reset"))
    let wait = world.order!.wakeAt!.since(world.now).wholeMilliseconds
    #expect((900...1100).contains(wait))
  }

  // MARK: What was not sent

  @Test func aRefusedConnectionProvesOnlyItsOwnAttempt() {
    var world = open()
    world.pay("a")
    world.answer(.notSent)
    #expect(world.payment().mayHaveLeft == false)
    #expect(world.payment().unknownSince == nil)
    world.close()
    #expect(world.payment().status == .closed)

    world = open()
    world.pay("a")
    world.answer(.unknown("reset"))
    world.wake()
    world.answer(.notFound)
    world.answer(.notSent)
    #expect(world.payment().mayHaveLeft, "the first attempt may still arrive")
    world.close()
    #expect(world.payment().status == .processing)
  }

  @Test func aProofThatComesAfterItsLeaseLapsedProvesNothing() {
    var world = open()
    world.pay("a")
    let number = world.payment().calls.lease?.number
    world.pass(.seconds(40))
    world.evidence(1, .notSent, call: number)
    #expect(world.payment().mayHaveLeft)
  }

  @Test func aRefusalIsFinalOnlyOnTheFirstAttemptAndOnlyWhenListed() {
    var world = open()
    world.pay("a")
    world.answer(.rejected(Failure(code: "invalid_charge", message: "")))
    #expect(world.payment().status == .failed)

    world = open()
    world.pay("a")
    world.answer(.rejected(Failure(code: "content_mismatch", message: "")))
    #expect(world.payment().status == .processing)
    #expect(world.payment().unknownSince != nil)

    world = open()
    world.pay("a")
    world.answer(.unknown("reset"))
    world.wake()
    world.answer(.notFound)
    world.answer(.rejected(Failure(code: "invalid_charge", message: "")))
    #expect(world.payment().isLive, "the repeat may be refused because the first one succeeded")
  }

  // MARK: Ends

  @Test func aDeclineWithSomethingLeftToPayWithIsNoEnd() {
    var world = open(OrderStory.forgetting)
    world.pay("a")
    world.answer(.pending(.clientSecret("secret")))
    world.wake()
    world.answer(.declined(declined, nil))
    #expect(world.payment().status == .requiresAction)
    #expect(world.payment().failure == declined)
    world.close()
    world.answer(.pending(nil))
    #expect(world.calling() == .close)
    world.answer(.closed)
    #expect(world.payment().status == .failed)
  }

  @Test func successWinsHoweverLate() {
    var world = open()
    world.pay("a")
    world.answer(.failed(declined))
    world.pay("b")
    world.answer(2, action)
    world.evidence(1, .succeeded(OrderStory.price))
    #expect(world.order?.status == .paid)
    #expect(world.order?.keptPayment?.id.ordinal == 1)
    #expect(world.payment(2).closeRequestedAt == world.now, "the other one is given up at once")
    #expect(world.calling(2) == .query)
    world.answer(2, .succeeded(OrderStory.price))
    #expect(world.payment(2).surplus == .duplicate)
    #expect(world.callingRefund() == .refund)
    world.answerRefund(1, .succeeded(nil))
    #expect(world.refund().amount == OrderStory.price)
    #expect(world.order?.amountRefunded == 0, "only refunds of the kept payment count")
    #expect(world.order?.wakeAt == nil)
  }

  @Test func anOldNoticeChangesNothing() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(OrderStory.price))
    let order = world.order
    for verdict in [action, .failed(declined), .closed, .notFound, .unknown("?"), .notSent] {
      world.evidence(1, verdict)
      #expect(world.order == order)
    }
  }

  // MARK: Closing

  @Test func theDeadlineClosesAtTheProviderFirst() {
    var world = open()
    world.pay("a")
    world.answer(action)
    world.pass(.seconds(900))
    #expect(world.order?.status == .closing)
    #expect(world.order?.closeReason == .expired)
    #expect(world.payment().nextAction == nil)
    #expect(world.calling() == .query)
    world.answer(action)
    #expect(world.calling() == .close)
    world.answer(.unknown("time-out"))
    #expect(world.order?.status == .closing)
    world.wake()
    #expect(world.calling() == .query)
    world.answer(.unknown("time-out"))
    #expect(world.calling() == .close, "a close does not wait for a query that gets no answer")
    world.answer(.closed)
    #expect(world.order?.status == .closed)
  }

  @Test func anOrderThatNobodyPaysJustCloses() {
    var world = open()
    world.pass(.seconds(900))
    #expect(world.order?.status == .closed)
    #expect(world.types == ["order.created", "order.closed"])
    #expect(world.order?.wakeAt == nil)
  }

  @Test func successWhileExpiringIsKept() {
    var world = open()
    world.pay("a")
    world.answer(action)
    world.pass(.seconds(900))
    world.answer(.succeeded(OrderStory.price))
    #expect(world.order?.status == .paid)
    #expect(world.order?.closeReason == nil)
  }

  @Test func successAfterTheShopClosedGoesBack() {
    var world = open()
    world.pay("a")
    world.answer(action)
    world.pass(.seconds(900))
    world.send(.closeOrder(OrderStory.id))
    #expect(world.order?.closeReason == .cancelled)
    world.answer(.succeeded(OrderStory.price))
    #expect(world.payment().surplus == .late)
    #expect(world.order?.status == .closed)
    #expect(world.refund().cause == .surplus)
  }

  @Test func lateMoneyIsRefundedOrAcceptedAsTheShopWants() {
    for late in [Order.Registration.LatePayment.refund, .accept] {
      var world = open(late: late)
      world.pay("a", "late")
      world.answer(action)
      world.pass(.seconds(900))
      world.answer(action)
      world.answer(.closed)
      #expect(world.order?.status == .closed)
      #expect(world.payment().isWatched)
      world.wake()
      #expect(world.calling() == .query)
      world.answer(.succeeded(OrderStory.price))
      #expect(world.payment().surplus == (late == .accept ? nil : .late))
      #expect(world.order?.status == (late == .accept ? .paid : .closed))
      #expect(world.order?.refunds.count == (late == .accept ? 0 : 1))
    }
  }

  @Test func aWatchEndsWithAnAnswerThatWasAskedForAtItsEnd() {
    var world = open()
    world.pay("a", "late")
    world.answer(action)
    world.pass(.seconds(900))
    world.answer(action)
    world.answer(.closed)
    let end = world.payment().watchUntil!
    while world.payment().isWatched, world.now < end.advanced(by: .seconds(600)) {
      world.wake()
      world.answer(world.now < end.advanced(by: .seconds(5)) ? .unknown("down") : .closed)
    }
    #expect(world.payment().isWatched == false)
    #expect(world.payment().calls.answeredAskAt! >= end)
    #expect(world.order?.wakeAt == nil)
  }

  // MARK: Switching

  @Test func anotherMethodWaitsForTheConfirmedClose() {
    var world = open()
    world.pay("a")
    world.answer(action)
    #expect(world.pay("b").code == .paymentInProgress)
    world.close()
    #expect(world.pay("b").code == .paymentInProgress)
    world.answer(action)
    world.answer(.closed)
    #expect(world.order?.status == .open)
    #expect(world.pay("b").code == nil)
    #expect(world.calling(2) == .charge)
  }

  @Test func aNewPaymentIsNotSentUntilTheWatchedOneAnswered() {
    var world = open(OrderStory.unscanned)
    world.pay("a")
    world.answer(.pending(.qrCode(content: "wxp://1")))
    world.close()
    world.answer(.notFound)
    #expect(world.calling() == .close)
    world.answer(.closedSoftly)
    #expect(world.payment().status == .closed)
    #expect(world.payment().isWatched)
    world.pay("b")
    #expect(world.calling(2) == nil)
    #expect(world.calling(1) == .query)
    world.answer(1, .unknown("down"))
    world.wake()
    #expect(world.calling(2) == nil, "no answer, no charge")
    world.answer(1, .notFound)
    #expect(world.calling(2) == .charge)
  }

  @Test func aWatchedOneThatTurnsOutPaidEndsTheNewOneUnsent() {
    var world = open(OrderStory.unscanned)
    world.pay("a")
    world.answer(.pending(.qrCode(content: "wxp://1")))
    world.close()
    world.answer(.notFound)
    world.answer(.closedSoftly)
    world.pay("b")
    world.answer(1, .succeeded(OrderStory.price))
    #expect(world.order?.keptPayment?.id.ordinal == 1)
    #expect(world.payment(2).status == .closed)
    #expect(world.payment(2).mayHaveLeft == false)
  }

  @Test func aQueryAskedBeforeTheNewPaymentDoesNotCount() {
    var world = open(OrderStory.unscanned)
    world.pay("a")
    world.answer(.pending(.qrCode(content: "wxp://1")))
    world.close()
    world.answer(.notFound)
    world.answer(.closedSoftly)
    world.wake()
    #expect(world.calling(1) == .query)
    let earlier = world.payment(1).calls.lease?.number
    world.pay("b")
    #expect(world.payment(1).calls.lease?.number == earlier.map { $0 + 1 }, "it is asked again at once")
    world.evidence(1, .notFound, call: earlier)
    #expect(world.calling(2) == nil)
    world.answer(1, .notFound)
    #expect(world.calling(2) == .charge)
  }

  @Test func aSoftlyClosedOneThatWasBegunIsClosedAgain() {
    var world = open(OrderStory.unscanned)
    world.pay("a")
    world.answer(.pending(.qrCode(content: "wxp://1")))
    world.close()
    world.answer(.notFound)
    world.answer(.closedSoftly)
    world.wake()
    world.answer(.pending(nil))
    #expect(world.calling() == .close)
    world.answer(.closed)
    #expect(world.payment().isWatched == false)
  }

  @Test func whatMayBeOnItsWayUnseenIsBurnt() {
    var world = open(OrderStory.forgetting)
    world.pay("a")
    world.answer(.unknown("time-out"))
    world.close()
    #expect(world.calling() == .query)
    world.answer(.notFound)
    #expect(world.calling() == .charge, "made again under the same key, to have something to close")
    world.answer(action)
    #expect(world.payment().nextAction == nil)
    #expect(world.calling() == .close)
    world.answer(.closed)
    #expect(world.payment().status == .closed)
  }

  @Test func aBurnThatIsRefusedGoesOnToTheClose() {
    var world = open(OrderStory.forgetting)
    world.pay("a")
    world.answer(.unknown("time-out"))
    world.close()
    world.answer(.notFound)
    world.answer(.rejected(Failure(code: "expired", message: "")))
    #expect(world.calling() == .close)
  }

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

  // MARK: Duplicates

  @Test func everyPreventedDuplicateIsCountedOncePerKeyAndAHundredAreRecorded() {
    var world = open()
    world.pay("a")
    for round in 1...2 {
      for number in 1...150 { #expect(world.pay("k\(number)").code == .paymentInProgress, "round \(round)") }
    }
    #expect(world.order?.duplicates.count == 150)
    #expect(world.types.count { $0 == "duplicate.prevented" } == 100)
    #expect(world.pay("a").isRepeat)
    #expect(world.order?.duplicates.count == 150)
  }

  @Test func timeNeverRunsBackwardsForAnOrder() {
    var world = open()
    world.pass(.seconds(10))
    world.pay("a")
    world.now = OrderStory.start
    world.answer(.succeeded(OrderStory.price))
    #expect(world.order?.paidAt == OrderStory.start.advanced(by: .seconds(10)))
  }
}
