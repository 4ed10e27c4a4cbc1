import PaymentCore
import Testing

/// Clocks that are wrong, and processes that are gone.
@Suite struct ClockStoryTests {
  private func paying() -> OrderStory {
    var story = OrderStory()
    story.register()
    story.pay("a", "ok")
    return story
  }

  @Test func aClockThatIsALittleBehindDoesNotSetAnOrderBack() {
    var story = paying()
    story.answer(.unknown("reset"))
    let before = story.order!.updatedAt
    story.now = story.now.advanced(by: .seconds(-29))
    story.send(.check(PaymentID(order: OrderStory.id, ordinal: 1)))
    #expect(story.order!.updatedAt >= before)
  }

  /// A clock that was a year ahead wrote something, before nodes looked after their clocks or in spite of it.
  @Test func whatAWrongClockPlannedIsNotWaitedFor() {
    var story = paying()
    story.answer(.unknown("reset"))
    let now = story.now
    story.now = now.advanced(by: .seconds(365 * 86_400))
    story.send(.check(PaymentID(order: OrderStory.id, ordinal: 1)))
    #expect(story.calling() == .query)
    story.now = now.advanced(by: .seconds(60))
    story.send(.wake(OrderStory.id))
    #expect(story.order!.updatedAt == story.now)
    #expect(story.payment().calls.lease?.askedAt == story.now, "it is asked about now")
    #expect(story.order!.wakeAt!.since(story.now) < .seconds(60))
    story.answer(.succeeded(OrderStory.price))
    #expect(story.payment().status == .succeeded)
  }

  @Test func theLeasesOfADeadProcessAreVoid() {
    var story = paying()
    #expect(story.calling() == .charge)
    story.now = story.now.advanced(by: .seconds(1))
    story.send(.recover(OrderStory.id))
    #expect(story.calling() == .query, "it is asked about at once")
    #expect(story.payment().unknownSince == story.now)
    story.answer(.notFound)
    #expect(story.calling() == .charge, "nothing of a dead process is leaving any more")
  }

  @Test func aRefundOfADeadProcessIsAskedAboutAtOnce() {
    var story = paying()
    story.answer(.succeeded(OrderStory.price))
    story.refund(key: "r", amount: 500)
    #expect(story.callingRefund() == .refund)
    story.send(.recover(OrderStory.id))
    #expect(story.callingRefund() == .queryRefund)
    story.answerRefund(1, .notFound)
    #expect(story.callingRefund() == .refund)
  }

  @Test func aRefundIsNotRepeatedWhileAFrozenNodeMaySendIt() {
    var story = paying()
    story.answer(.succeeded(OrderStory.price))
    story.refund(key: "r", amount: 500)
    let sent = story.now
    story.pass(.seconds(20))
    #expect(story.callingRefund() == .queryRefund)
    while story.callingRefund() == .queryRefund {
      story.answerRefund(1, .notFound)
      if story.callingRefund() == nil { story.wake() }
    }
    #expect(story.callingRefund() == .refund)
    #expect(story.now.since(sent) >= .seconds(40))
  }

  /// What was not found while the first one could still arrive is no reason to believe a later refusal.
  @Test func aRefundThatArrivesAtTheLastMomentIsNotCalledFailed() {
    var story = paying()
    story.answer(.succeeded(OrderStory.price))
    story.refund(key: "r", amount: 500)
    let sent = story.now
    story.pass(.seconds(20))
    while story.now.since(sent) < .seconds(38) {
      if story.callingRefund() != nil { story.answerRefund(1, .notFound) }
      story.wake()
    }
    // Here it arrives, and is done. Whoever asks from now on is told so, and nothing is sent on an older answer.
    while story.callingRefund() == nil { story.wake() }
    #expect(story.callingRefund() == .queryRefund)
    story.answerRefund(1, .notFound)
    while story.callingRefund() == nil { story.wake() }
    #expect(story.callingRefund() == .queryRefund || story.refund().calls.step <= 1)
    story.answerRefund(1, .refused(Failure(code: "already_refunded", message: "")))
    #expect(story.refund().status == .processing, "a refusal of a repeat proves nothing yet")
  }

  @Test func aRefundWhoseKeyIsForgottenIsNotCalledFailedWhileItMayArrive() {
    var story = OrderStory(
      CapabilitySheet(
        methods: ["ok"], repeatWindow: .seconds(15), createMovesMoney: false, burning: .createThenClose))
    story.register()
    story.pay("a", "ok")
    story.answer(.succeeded(OrderStory.price))
    story.refund(key: "r", amount: 500)
    story.pass(.seconds(20))
    #expect(story.callingRefund() == .queryRefund)
    story.answerRefund(1, .notFound)
    #expect(story.refund().status == .processing)
    while story.refund().status == .processing {
      if story.callingRefund() == nil { story.wake() }
      story.answerRefund(1, .notFound)
    }
    #expect(story.now.since(OrderStory.start) >= .seconds(40))
  }

  @Test func onlyWhatIsUnderWayIsRecovered() {
    var story = paying()
    story.answer(.succeeded(OrderStory.price))
    let before = story.order!
    story.send(.recover(OrderStory.id))
    #expect(story.order == before)
  }
}
