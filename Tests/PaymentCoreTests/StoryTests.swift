import PaymentCore
import Testing

/// The rules of the domain, each as the story of one order.
@Suite struct StoryTests {
  let action = PaymentEvidence.Verdict.pending(.redirect(url: "https://bank.example"))
  let declined = Failure(code: "declined", message: "no")

  func open(_ sheet: CapabilitySheet = OrderStory.burning, late: Order.Registration.LatePayment = .refund)
    -> OrderStory
  {
    var story = OrderStory(sheet)
    story.register(late: late)
    return story
  }

  // MARK: The unknown

  @Test func aLostAnswerIsAStoredStateThatIsAskedFor() {
    var story = open()
    story.pay("a")
    #expect(story.calling() == .charge)
    story.answer(.unknown("reset"))
    #expect(story.payment().status == .processing)
    #expect(story.payment().unknownSince == story.now)
    #expect(story.calling() == nil)
    story.wake()
    #expect(story.now.since(OrderStory.start) == .seconds(1))
    #expect(story.calling() == .query)
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order?.status == .paid)
    #expect(story.payment().unknownSince == nil)
    #expect(story.order?.wakeAt == nil)
    #expect(
      story.types == [
        "order.created", "payment.started", "payment.unknown", "payment.succeeded", "order.paid",
      ])
  }

  @Test func aLostRequestIsSentAgainUnderTheSameId() {
    var story = open()
    story.pay("a")
    story.answer(.unknown("time-out"))
    story.wake()
    story.answer(.notFound)
    #expect(story.calling() == .charge)
    #expect(story.order?.payments.count == 1)
  }

  @Test func aForgottenKeyIsNeverSentAgain() {
    var story = open(OrderStory.forgetting)
    story.order = nil
    story.send(
      .register(
        .init(merchant: OrderStory.merchant, reference: "r-1", amount: OrderStory.price, expiresIn: 30 * 86_400),
        number: OrderStory.number, id: OrderStory.id, checkoutSecret: 99))
    story.pay("a")
    story.answer(.unknown("time-out"))
    while story.now.since(OrderStory.start) < .seconds(24 * 3600) {
      story.wake()
      #expect(story.calling() == .query || story.now.since(OrderStory.start) < .seconds(23 * 3600))
      story.answer(story.calling() == .query ? .notFound : .unknown("time-out"))
    }
    #expect(story.payment().unknownSince != nil)
  }

  @Test func aCallWhoseMakerDiedLapsesAndIsAskedFor() {
    var story = open()
    story.pay("a")
    story.pass(.seconds(19))
    #expect(story.calling() == .charge)
    story.pass(.seconds(1))
    #expect(story.calling() == .query)
    #expect(story.payment().unknownSince != nil)
    // To ask harms nobody; but whoever froze may still be about to send it.
    while story.now < OrderStory.start.advanced(by: .seconds(40)) {
      #expect(story.calling() == .query)
      story.answer(.notFound)
      story.wake()
    }
    // Only what was asked for after that speaks for it.
    #expect(story.calling() == .query)
    story.answer(.notFound)
    #expect(story.calling() == .charge)
  }

  /// An upgrade can bring another order of methods, or another default.
  @Test func theSameKeyIsTheSameRequestAfterAnUpgrade() {
    var story = open()
    story.pay("a")
    story.sheet = CapabilitySheet(
      methods: ["new", "ok", "late"], createMovesMoney: true, burning: .close)
    #expect(story.pay("a").isRepeat)
    #expect(story.pay("a", "ok").isRepeat, "the method that was meant then")
    #expect(story.pay("a", "late").code == .idempotencyKeyReused)
    #expect(story.pay("a", "new").code == .idempotencyKeyReused)
  }

  @Test func theSameReferenceIsTheSameOrderAfterAnUpgrade() {
    var story = OrderStory()
    let registration = Order.Registration(merchant: OrderStory.merchant, reference: "r-1", amount: OrderStory.price)
    let register = Command.register(registration, number: OrderStory.number, id: OrderStory.id, checkoutSecret: 99)
    story.send(register)
    #expect(story.order!.expiresAt == OrderStory.start.advanced(by: .seconds(900)))
    story.rules.schedule.orderLife = .seconds(3600)
    #expect(story.send(register).isRepeat)
    #expect(story.order!.expiresAt == OrderStory.start.advanced(by: .seconds(900)))
  }

  @Test func whenTheProviderTookItIsKept() {
    var story = open()
    story.pay("a")
    let moment = OrderStory.start.advanced(by: .seconds(-3))
    story.send(
      .evidence(
        .payment(
          .init(
            payment: PaymentID(order: OrderStory.id, ordinal: 1), provider: OrderStory.sandbox, call: 1,
            verdict: .succeeded(OrderStory.price), capturedAt: moment))))
    #expect(story.payment().capturedAt == moment)
  }

  @Test func theScheduleIsTheDocumentedOne() {
    var story = open()
    story.order = nil
    story.send(
      .register(
        .init(merchant: OrderStory.merchant, reference: "r-1", amount: OrderStory.price, expiresIn: 30 * 86_400),
        number: OrderStory.number, id: OrderStory.id, checkoutSecret: 99))
    story.pay("a")
    story.answer(.unknown("time-out"))
    var waits: [Int64] = []
    for _ in 0..<22 {
      let before = story.now
      story.wake()
      waits.append(story.now.since(before).wholeMilliseconds / 1000)
      story.answer(.pending(nil))
    }
    #expect(
      waits == [1, 2, 3, 5] + Array(repeating: 5, count: 10) + [60, 300, 900, 3600, 21_600, 86_400, 86_400, 86_400])
  }

  @Test func jitterStaysWithinATenthAndDiffersBetweenOrders() {
    var schedule = Schedule()
    schedule.jitterPercent = 10
    var story = OrderStory()
    story.rules.schedule = schedule
    story.register()
    story.pay("a")
    story.answer(.unknown("reset"))
    let wait = story.order!.wakeAt!.since(story.now).wholeMilliseconds
    #expect((900...1100).contains(wait))
  }

  // MARK: What was not sent

  @Test func aRefusedConnectionProvesOnlyItsOwnAttempt() {
    var story = open()
    story.pay("a")
    story.answer(.notSent)
    #expect(story.payment().mayHaveLeft == false)
    #expect(story.payment().unknownSince == nil)
    story.close()
    #expect(story.payment().status == .closed)

    story = open()
    story.pay("a")
    story.answer(.unknown("reset"))
    story.wake()
    story.answer(.notFound)
    story.answer(.notSent)
    #expect(story.payment().mayHaveLeft, "the first attempt may still arrive")
    story.close()
    #expect(story.payment().status == .processing)
  }

  @Test func aProofThatComesAfterItsLeaseLapsedProvesNothing() {
    var story = open()
    story.pay("a")
    let number = story.payment().calls.lease?.number
    story.pass(.seconds(40))
    story.evidence(1, .notSent, call: number)
    #expect(story.payment().mayHaveLeft)
  }

  @Test func aRefusalIsFinalOnlyOnTheFirstAttemptAndOnlyWhenListed() {
    var story = open()
    story.pay("a")
    story.answer(.rejected(Failure(code: "invalid_charge", message: "")))
    #expect(story.payment().status == .failed)

    story = open()
    story.pay("a")
    story.answer(.rejected(Failure(code: "content_mismatch", message: "")))
    #expect(story.payment().status == .processing)
    #expect(story.payment().unknownSince != nil)

    story = open()
    story.pay("a")
    story.answer(.unknown("reset"))
    story.wake()
    story.answer(.notFound)
    story.answer(.rejected(Failure(code: "invalid_charge", message: "")))
    #expect(story.payment().isLive, "the repeat may be refused because the first one succeeded")
  }

  // MARK: Ends

  @Test func aDeclineWithSomethingLeftToPayWithIsNoEnd() {
    var story = open(OrderStory.forgetting)
    story.pay("a")
    story.answer(.pending(.clientSecret("secret")))
    story.wake()
    story.answer(.declined(declined, nil))
    #expect(story.payment().status == .requiresAction)
    #expect(story.payment().failure == declined)
    story.close()
    story.answer(.pending(nil))
    #expect(story.calling() == .close)
    story.answer(.closed)
    #expect(story.payment().status == .failed)
  }

  @Test func successWinsHoweverLate() {
    var story = open()
    story.pay("a")
    story.answer(.failed(declined))
    story.pay("b")
    story.answer(2, action)
    story.evidence(1, .succeeded(OrderStory.price))
    #expect(story.order?.status == .paid)
    #expect(story.order?.keptPayment?.id.ordinal == 1)
    #expect(story.payment(2).closeRequestedAt == story.now, "the other one is given up at once")
    #expect(story.calling(2) == .query)
    story.answer(2, .succeeded(OrderStory.price))
    #expect(story.payment(2).surplus == .duplicate)
    #expect(story.callingRefund() == .refund)
    story.answerRefund(1, .succeeded(nil))
    #expect(story.refund().amount == OrderStory.price)
    #expect(story.order?.amountRefunded == 0, "only refunds of the kept payment count")
    #expect(story.order?.wakeAt == nil)
  }

  @Test func anOldNoticeChangesNothing() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    let order = story.order
    for verdict in [action, .failed(declined), .closed, .notFound, .unknown("?"), .notSent] {
      story.evidence(1, verdict)
      #expect(story.order == order)
    }
  }

  // MARK: Duplicates

  @Test func everyPreventedDuplicateIsCountedOncePerKeyAndAHundredAreRecorded() {
    var story = open()
    story.pay("a")
    for round in 1...2 {
      for number in 1...150 { #expect(story.pay("k\(number)").code == .paymentInProgress, "round \(round)") }
    }
    #expect(story.order?.duplicates.count == 150)
    #expect(story.types.count { $0 == "duplicate.prevented" } == 100)
    #expect(story.pay("a").isRepeat)
    #expect(story.order?.duplicates.count == 150)
  }

  @Test func timeNeverRunsBackwardsForAnOrder() {
    var story = open()
    story.pass(.seconds(10))
    story.pay("a")
    story.now = OrderStory.start
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order?.paidAt == OrderStory.start.advanced(by: .seconds(10)))
  }
}
