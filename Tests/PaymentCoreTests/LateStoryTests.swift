import PaymentCore
import Testing

/// Answers that come late, payments that wait for others, and time that passes unseen.
@Suite struct LateStoryTests {
  private let action = PaymentEvidence.Verdict.pending(.redirect(url: "https://bank.example"))

  private func open(_ sheet: CapabilitySheet = OrderStory.burning, late: Order.Registration.LatePayment = .refund)
    -> OrderStory
  {
    var world = OrderStory(sheet)
    world.register(late: late)
    return world
  }

  /// An order whose first payment was closed softly, with a second one that waits for it.
  private func waiting() -> OrderStory {
    var world = open(OrderStory.unscanned)
    world.pay("a")
    world.answer(action)
    world.close()
    world.answer(.notFound)
    world.answer(.closedSoftly)
    world.pay("b")
    return world
  }

  /// The same, when the answer has come and the second charge is put off for a minute.
  private func putOff() -> OrderStory {
    var world = waiting()
    let evidence = PaymentEvidence(
      payment: world.payment(1).id, provider: OrderStory.sandbox, call: world.payment(1).calls.lease?.number,
      verdict: .notFound)
    world.order =
      decide(world.order, .evidence(.payment(evidence)), by: .payOnce, now: world.now, rules: world.rules).order
    var asked: [Call.Kind] = []
    let made = world.order!.takeCalls(world.now, rules: world.rules) { call in
      asked.append(call.kind)
      return .seconds(60)
    }
    #expect(asked == [.charge] && made.isEmpty)
    return world
  }

  // MARK: Stale answers

  @Test func aLateAnswerDoesNotSpeakOfNow() {
    for verdict in [
      .closedSoftly, .unknown("reset"), .declined(Failure(code: "card", message: ""), nil), .pending(nil),
    ]
      as [PaymentEvidence.Verdict]
    {
      var world = open(OrderStory.unscanned)
      world.pay("a")
      let old = world.payment().calls.lease!.number
      world.wake()
      world.answer(action)
      let payment = world.payment()
      world.evidence(1, verdict, call: old)
      #expect(world.payment() == payment, "\(verdict)")
    }
  }

  @Test func aLateProofOfTheEndCounts() {
    var world = open()
    world.pay("a")
    let old = world.payment().calls.lease!.number
    world.wake()
    world.evidence(1, .closed, call: old)
    #expect(world.payment().status == .closed)
  }

  @Test func onlyTheVeryFirstCallCanProveThatNothingLeft() {
    var world = open(OrderStory.forgetting)
    world.pay("a")
    world.answer(.unknown("reset"))
    world.close()
    world.answer(.notFound)
    // The burn, within the same millisecond as the first sending.
    #expect(world.calling() == .charge)
    world.answer(.notSent)
    #expect(world.payment().isLive)
  }

  // MARK: Waiting for the watched

  @Test func aPaymentUnderWayHoldsTheNextOneBack() {
    var world = waiting()
    #expect(world.calling(1) == .query)
    world.answer(1, action)
    #expect(world.calling(1) == .close)
    #expect(world.calling(2) == nil)
    world.answer(1, .unknown("reset"))
    #expect(world.calling(2) == nil)
    world.wake()
    world.answer(1, .closed)
    #expect(world.calling(2) == .charge)
  }

  @Test func anUnscannedCodeLetsTheNextOneGoAtOnce() {
    var world = waiting()
    world.answer(1, .notFound)
    #expect(world.calling(1) == nil)
    #expect(world.calling(2) == .charge)
  }

  @Test func anAnswerAgesWhileTheChargeIsPutOff() {
    var world = putOff()
    world.pass(.seconds(100))
    #expect(world.calling(1) == .query)
    #expect(world.calling(2) == nil)
  }

  @Test func aReaderDoesNotHaveTheWatchedAskedTooEarly() {
    var world = putOff()
    world.pass(.seconds(10))
    world.send(.check(world.payment(2).id))
    // Asked now, its answer would be old when the charge leaves.
    #expect(world.calling(1) == nil)
    world.pass(.seconds(90))
    #expect(world.calling(1) == .query)
  }

  /// It was put off for a minute, and there is a place after ten seconds: what the watched one's provider says is as new as
  /// it would have been then.
  @Test func aChargeThatHasItsTurnWaitsForNewAnswers() throws {
    var world = putOff()
    world.pass(.seconds(10))
    let charge = Call.Subject.payment(world.payment(2).id)
    let calls = world.order!.takeCalls(world.now, rules: world.rules, recalled: [charge])
    #expect(calls.map(\.kind) == [.query] && calls[0].payment == world.payment(1).id)
    #expect(calls[0].priority == .acting)
    // Nobody calls it up a second time: it is due when the answer is there.
    let evidence = PaymentEvidence(
      payment: calls[0].payment, provider: OrderStory.sandbox, call: calls[0].number, verdict: .notFound)
    world.order =
      decide(world.order, .evidence(.payment(evidence)), by: .payOnce, now: world.now, rules: world.rules).order
    #expect(world.order!.takeCalls(world.now, rules: world.rules).map(\.kind) == [.charge])
    // What is under way is not made due once more.
    #expect(world.order!.takeCalls(world.now, rules: world.rules, recalled: [charge]).isEmpty)
  }

  /// Readers ask again and again while nothing can be asked.
  @Test func whatIsOnlyPutOffAgainIsKnown() throws {
    var world = open()
    world.pay("a")
    world.answer(action)
    world.now = world.now.advanced(by: .seconds(20))
    var put: [Call] = []
    func putOff(_ order: Order?) -> Order {
      var order = order!
      put = []
      _ = order.takeCalls(world.now, rules: world.rules) { call in
        put.append(call)
        return .seconds(60)
      }
      return order
    }
    let first = putOff(world.order)
    #expect(put.map(\.kind) == [.query] && !first.isOnlyPutOffAgain(put, since: world.order!, now: world.now))
    world.now = world.now.advanced(by: .seconds(10))
    func after(_ command: Command) -> Order {
      putOff(decide(first, command, by: .payOnce, now: world.now, rules: world.rules).order)
    }
    let asked = after(.check(world.payment().id))
    #expect(asked != first && asked.isOnlyPutOffAgain(put, since: first, now: world.now))
    #expect(!after(.closePayment(world.payment().id)).isOnlyPutOffAgain(put, since: first, now: world.now))
    #expect(put.map(\.priority) == [.acting], "the question before a close")
  }

  @Test func whatItsProviderNeverTakesAndNeverKnewCanBeClosed() {
    var world = open(OrderStory.forgetting)
    world.pay("a")
    world.answer(.unknown("reset"))
    world.close()
    world.answer(.notFound)
    #expect(world.calling() == .charge)
    world.answer(.rejected(Failure(code: "time_expired", message: "")))
    #expect(world.calling() == .close)
    world.answer(.closedSoftly)
    #expect(world.payment().status == .closed)
    #expect(world.payment().isWatched)
  }

  @Test func anAnswerAgesWhenTheChargeDidNotLeave() {
    var world = waiting()
    world.answer(1, .notFound)
    world.answer(2, .notSent)
    world.wake()
    #expect(world.calling(1) == .query)
    #expect(world.calling(2) == nil)
  }

  @Test func aReaderOfTheWaitingPaymentAsksTheOneItWaitsFor() {
    var world = waiting()
    world.answer(1, .unknown("reset"))
    world.now = world.now.advanced(by: .milliseconds(999))
    world.send(.check(world.payment(2).id))
    #expect(world.calling(1) == nil)
    world.wake()
    #expect(world.calling(1) == .query)
  }

  @Test func readersDoNotUseUpTheSchedule() {
    var world = open()
    world.pay("a")
    world.answer(action)
    for _ in 1...50 {
      world.now = world.now.advanced(by: .seconds(1))
      world.send(.check(world.payment().id))
      world.answer(action)
    }
    #expect(world.payment().calls.nextAt!.since(world.now) <= .seconds(5))
  }

  /// What is due where nobody can ask would be put off for the nodes that can.
  @Test func readersWhereTheProviderIsOffLeaveTheScheduleAlone() {
    var world = open()
    world.pay("a")
    world.answer(action)
    for _ in 1...4 {
      world.wake()
      world.answer(action)
    }
    world.now = world.now.advanced(by: .seconds(1))
    let (before, accounts) = (world, world.rules.accounts)
    world.rules.accounts = []
    world.send(.check(world.payment().id))
    #expect(world.payment().calls == before.payment().calls)
    world.rules.accounts = accounts
    world.send(.check(world.payment().id))
    #expect(world.calling() == .query)
  }

  @Test func aWatchedPaymentThatCannotBeClosedIsNotAskedWithoutAWait() {
    let sheet = CapabilitySheet(
      methods: ["late"], createMovesMoney: false, burning: .none, lateMoney: ["late": .seconds(600)])
    var world = open(sheet)
    world.pay("a")
    world.answer(action)
    world.close()
    world.answer(action)
    world.answer(.closed)
    world.wake()
    world.answer(.pending(nil))
    #expect(world.calling() == nil)
    #expect(world.order!.wakeAt! > world.now)
  }

  /// Seed 11234 of the simulation: a query at the end of the watch saw what was ten seconds before.
  @Test func lateMoneyIsLookedForLongerThanItCanCome() {
    var world = open()
    world.pay("a", "late")
    world.answer(action)
    world.close()
    world.answer(action)
    world.answer(.closed)
    #expect(world.payment().watchUntil! >= world.now.advanced(by: .seconds(60) + .seconds(60)))
  }

  @Test func aWatchDoesNotEndWhileTheBuyerIsPaying() {
    var world = waiting()
    world.send(.closePayment(world.payment(2).id))
    let end = world.payment(1).watchUntil!
    while world.now < end {
      if world.calling(1) != nil { world.answer(1, .notFound) }
      world.wake()
    }
    world.answer(1, action)
    #expect(world.payment(1).isWatched)
    #expect(world.calling(1) == .close)
    world.answer(1, .closed)
    #expect(!world.payment(1).isWatched)
  }

  // MARK: The deadline, found by whatever comes first after it

  @Test func theDeadlineHasPassedWhoeverLooksFirst() {
    var world = open(late: .accept)
    world.pay("a")
    world.answer(.failed(Failure(code: "declined", message: "")))
    world.now = world.now.advanced(by: .seconds(900))
    var closing = world
    closing.send(.closeOrder(OrderStory.id))
    #expect(closing.order?.closeReason == .cancelled)
    #expect(closing.types.suffix(2) == ["order.closed", "order.closed"])
    var paying = world
    #expect(paying.pay("b").code == .orderClosed)
    var late = open()
    late.pay("a")
    late.answer(.failed(Failure(code: "declined", message: "")))
    late.now = late.now.advanced(by: .seconds(900))
    late.evidence(1, .succeeded(OrderStory.price))
    #expect(late.payment().surplus == .late)
  }
}
