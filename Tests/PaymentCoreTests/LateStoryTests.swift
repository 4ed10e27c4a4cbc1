import PaymentCore
import Testing

/// Answers that come late, payments that wait for others, and time that passes unseen.
@Suite struct LateStoryTests {
  private let action = PaymentEvidence.Verdict.pending(.redirect(url: "https://bank.example"))

  private func open(_ sheet: CapabilitySheet = OrderStory.burning, late: Order.Registration.LatePayment = .refund)
    -> OrderStory
  {
    var story = OrderStory(sheet)
    story.register(late: late)
    return story
  }

  /// An order whose first payment was closed softly, with a second one that waits for it.
  private func waiting() -> OrderStory {
    var story = open(OrderStory.unscanned)
    story.pay("a")
    story.answer(action)
    story.close()
    story.answer(.notFound)
    story.answer(.closedSoftly)
    story.pay("b")
    return story
  }

  /// The same, when the answer has come and the second charge is put off for a minute.
  private func putOff() -> OrderStory {
    var story = waiting()
    let evidence = PaymentEvidence(
      payment: story.payment(1).id, provider: OrderStory.sandbox, call: story.payment(1).calls.lease?.number,
      verdict: .notFound)
    story.order =
      decide(story.order, .evidence(.payment(evidence)), by: .payOnce, now: story.now, rules: story.rules).order
    var asked: [Call.Kind] = []
    let made = story.order!.takeCalls(story.now, rules: story.rules) { call in
      asked.append(call.kind)
      return .seconds(60)
    }
    #expect(asked == [.charge] && made.isEmpty)
    return story
  }

  // MARK: Stale answers

  @Test func aLateAnswerDoesNotSpeakOfNow() {
    for verdict in [
      .closedSoftly, .unknown("reset"), .declined(Failure(code: "card", message: ""), nil), .pending(nil),
    ]
      as [PaymentEvidence.Verdict]
    {
      var story = open(OrderStory.unscanned)
      story.pay("a")
      let old = story.payment().calls.lease!.number
      story.wake()
      story.answer(action)
      let payment = story.payment()
      story.evidence(1, verdict, call: old)
      #expect(story.payment() == payment, "\(verdict)")
    }
  }

  @Test func aLateProofOfTheEndCounts() {
    var story = open()
    story.pay("a")
    let old = story.payment().calls.lease!.number
    story.wake()
    story.evidence(1, .closed, call: old)
    #expect(story.payment().status == .closed)
  }

  @Test func onlyTheVeryFirstCallCanProveThatNothingLeft() {
    var story = open(OrderStory.forgetting)
    story.pay("a")
    story.answer(.unknown("reset"))
    story.close()
    story.answer(.notFound)
    // The burn, within the same millisecond as the first sending.
    #expect(story.calling() == .charge)
    story.answer(.notSent)
    #expect(story.payment().isLive)
  }

  // MARK: Waiting for the watched

  @Test func aPaymentUnderWayHoldsTheNextOneBack() {
    var story = waiting()
    #expect(story.calling(1) == .query)
    story.answer(1, action)
    #expect(story.calling(1) == .close)
    #expect(story.calling(2) == nil)
    story.answer(1, .unknown("reset"))
    #expect(story.calling(2) == nil)
    story.wake()
    story.answer(1, .closed)
    #expect(story.calling(2) == .charge)
  }

  @Test func anUnscannedCodeLetsTheNextOneGoAtOnce() {
    var story = waiting()
    story.answer(1, .notFound)
    #expect(story.calling(1) == nil)
    #expect(story.calling(2) == .charge)
  }

  @Test func anAnswerAgesWhileTheChargeIsPutOff() {
    var story = putOff()
    story.pass(.seconds(100))
    #expect(story.calling(1) == .query)
    #expect(story.calling(2) == nil)
  }

  @Test func aReaderDoesNotHaveTheWatchedAskedTooEarly() {
    var story = putOff()
    story.pass(.seconds(10))
    story.send(.check(story.payment(2).id))
    // Asked now, its answer would be old when the charge leaves.
    #expect(story.calling(1) == nil)
    story.pass(.seconds(90))
    #expect(story.calling(1) == .query)
  }

  /// It was put off for a minute, and there is a place after ten seconds: what the watched one's provider says is as new as
  /// it would have been then.
  @Test func aChargeThatHasItsTurnWaitsForNewAnswers() throws {
    var story = putOff()
    story.pass(.seconds(10))
    let charge = Call.Subject.payment(story.payment(2).id)
    let calls = story.order!.takeCalls(story.now, rules: story.rules, recalled: [charge])
    #expect(calls.map(\.kind) == [.query] && calls[0].payment == story.payment(1).id)
    #expect(calls[0].priority == .acting)
    // Nobody calls it up a second time: it is due when the answer is there.
    let evidence = PaymentEvidence(
      payment: calls[0].payment, provider: OrderStory.sandbox, call: calls[0].number, verdict: .notFound)
    story.order =
      decide(story.order, .evidence(.payment(evidence)), by: .payOnce, now: story.now, rules: story.rules).order
    #expect(story.order!.takeCalls(story.now, rules: story.rules).map(\.kind) == [.charge])
    // What is under way is not made due once more.
    #expect(story.order!.takeCalls(story.now, rules: story.rules, recalled: [charge]).isEmpty)
  }

  /// Readers ask again and again while nothing can be asked.
  @Test func whatIsOnlyPutOffAgainIsKnown() throws {
    var story = open()
    story.pay("a")
    story.answer(action)
    story.now = story.now.advanced(by: .seconds(20))
    var put: [Call] = []
    func putOff(_ order: Order?) -> Order {
      var order = order!
      put = []
      _ = order.takeCalls(story.now, rules: story.rules) { call in
        put.append(call)
        return .seconds(60)
      }
      return order
    }
    let first = putOff(story.order)
    #expect(put.map(\.kind) == [.query] && !first.isOnlyPutOffAgain(put, since: story.order!, now: story.now))
    story.now = story.now.advanced(by: .seconds(10))
    func after(_ command: Command) -> Order {
      putOff(decide(first, command, by: .payOnce, now: story.now, rules: story.rules).order)
    }
    let asked = after(.check(story.payment().id))
    #expect(asked != first && asked.isOnlyPutOffAgain(put, since: first, now: story.now))
    #expect(!after(.closePayment(story.payment().id)).isOnlyPutOffAgain(put, since: first, now: story.now))
    #expect(put.map(\.priority) == [.acting], "the question before a close")
  }

  @Test func whatItsProviderNeverTakesAndNeverKnewCanBeClosed() {
    var story = open(OrderStory.forgetting)
    story.pay("a")
    story.answer(.unknown("reset"))
    story.close()
    story.answer(.notFound)
    #expect(story.calling() == .charge)
    story.answer(.rejected(Failure(code: "time_expired", message: "")))
    #expect(story.calling() == .close)
    story.answer(.closedSoftly)
    #expect(story.payment().status == .closed)
    #expect(story.payment().isWatched)
  }

  @Test func anAnswerAgesWhenTheChargeDidNotLeave() {
    var story = waiting()
    story.answer(1, .notFound)
    story.answer(2, .notSent)
    story.wake()
    #expect(story.calling(1) == .query)
    #expect(story.calling(2) == nil)
  }

  @Test func aReaderOfTheWaitingPaymentAsksTheOneItWaitsFor() {
    var story = waiting()
    story.answer(1, .unknown("reset"))
    story.now = story.now.advanced(by: .milliseconds(999))
    story.send(.check(story.payment(2).id))
    #expect(story.calling(1) == nil)
    story.wake()
    #expect(story.calling(1) == .query)
  }

  @Test func readersDoNotUseUpTheSchedule() {
    var story = open()
    story.pay("a")
    story.answer(action)
    for _ in 1...50 {
      story.now = story.now.advanced(by: .seconds(1))
      story.send(.check(story.payment().id))
      story.answer(action)
    }
    #expect(story.payment().calls.nextAt!.since(story.now) <= .seconds(5))
  }

  /// What is due where nobody can ask would be put off for the nodes that can.
  @Test func readersWhereTheProviderIsOffLeaveTheScheduleAlone() {
    var story = open()
    story.pay("a")
    story.answer(action)
    for _ in 1...4 {
      story.wake()
      story.answer(action)
    }
    story.now = story.now.advanced(by: .seconds(1))
    let (before, accounts) = (story, story.rules.accounts)
    story.rules.accounts = []
    story.send(.check(story.payment().id))
    #expect(story.payment().calls == before.payment().calls)
    story.rules.accounts = accounts
    story.send(.check(story.payment().id))
    #expect(story.calling() == .query)
  }

  @Test func aWatchedPaymentThatCannotBeClosedIsNotAskedWithoutAWait() {
    let sheet = CapabilitySheet(
      methods: ["late"], createMovesMoney: false, burning: .none, lateMoney: ["late": .seconds(600)])
    var story = open(sheet)
    story.pay("a")
    story.answer(action)
    story.close()
    story.answer(action)
    story.answer(.closed)
    story.wake()
    story.answer(.pending(nil))
    #expect(story.calling() == nil)
    #expect(story.order!.wakeAt! > story.now)
  }

  /// Seed 11234 of the simulation: a query at the end of the watch saw what was ten seconds before.
  @Test func lateMoneyIsLookedForLongerThanItCanCome() {
    var story = open()
    story.pay("a", "late")
    story.answer(action)
    story.close()
    story.answer(action)
    story.answer(.closed)
    #expect(story.payment().watchUntil! >= story.now.advanced(by: .seconds(60) + .seconds(60)))
  }

  @Test func aWatchDoesNotEndWhileTheBuyerIsPaying() {
    var story = waiting()
    story.send(.closePayment(story.payment(2).id))
    let end = story.payment(1).watchUntil!
    while story.now < end {
      if story.calling(1) != nil { story.answer(1, .notFound) }
      story.wake()
    }
    story.answer(1, action)
    #expect(story.payment(1).isWatched)
    #expect(story.calling(1) == .close)
    story.answer(1, .closed)
    #expect(!story.payment(1).isWatched)
  }

  // MARK: The deadline, found by whatever comes first after it

  @Test func theDeadlineHasPassedWhoeverLooksFirst() {
    var story = open(late: .accept)
    story.pay("a")
    story.answer(.failed(Failure(code: "declined", message: "")))
    story.now = story.now.advanced(by: .seconds(900))
    var closing = story
    closing.send(.closeOrder(OrderStory.id))
    #expect(closing.order?.closeReason == .cancelled)
    #expect(closing.types.suffix(2) == ["order.closed", "order.closed"])
    var paying = story
    #expect(paying.pay("b").code == .orderClosed)
    var late = open()
    late.pay("a")
    late.answer(.failed(Failure(code: "declined", message: "")))
    late.now = late.now.advanced(by: .seconds(900))
    late.evidence(1, .succeeded(OrderStory.price))
    #expect(late.payment().surplus == .late)
  }
}
