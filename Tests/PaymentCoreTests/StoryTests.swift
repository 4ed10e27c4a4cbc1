import PaymentCore
import Testing

/// The rules of the domain, each as the story of one order.
@Suite struct StoryTests {
  let action = PaymentEvidence.Verdict.pending(.redirect(url: "https://bank.example"))
  let declined = Failure(code: "declined", message: "no")

  func open(_ sheet: CapabilitySheet = OrderStory.burning, late: Order.Registration.LatePayment = .refund)
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
