import PaymentCore
import Testing

/// What nobody could learn anything about for a day is shown to a person, and no longer than it is so.
@Suite struct UnresolvedStoryTests {
  private func open(_ sheet: CapabilitySheet = OrderStory.burning) -> OrderStory {
    var story = OrderStory(sheet)
    story.register()
    return story
  }

  private var refused: RefundEvidence.Verdict { .refused(Failure(code: "not_now", message: "")) }

  private func open(_ story: OrderStory) -> [Case] {
    story.order!.cases.filter { $0.reason == .unresolved && $0.resolvedAt == nil }
  }

  /// The provider answers nothing that says anything.
  private func silence(_ story: inout OrderStory, for duration: Duration) {
    let end = story.now.advanced(by: duration)
    while story.now < end {
      if story.calling() != nil { story.answer(.rejected(Failure(code: "forbidden", message: ""))) }
      if let refund = story.order!.refunds.first, refund.calls.lease != nil { story.answerRefund(1, .unknown("403")) }
      guard let next = story.order!.wakeAt, next < end else { break }
      story.wake()
    }
    if story.now < end { story.pass(end.since(story.now)) }
  }

  @Test func aPaymentOfWhichNothingIsLearnedForADay() {
    var story = open()
    story.pay("a")
    story.answer(.unknown("reset"))
    let began = story.payment().unknownSince!
    silence(&story, for: .seconds(86_300))
    #expect(open(story).isEmpty, "a day is not over")
    silence(&story, for: .seconds(2 * 86_400))
    let item = open(story)[0]
    #expect(open(story).count == 1 && item.payment == story.payment().id && item.refund == nil)
    #expect(item.openedAt.since(began) < .seconds(3 * 86_400) && item.choices == [.acknowledge])
    silence(&story, for: .seconds(10 * 86_400))
    #expect(open(story).count == 1, "once")
    // It is over when something is learned.
    story.evidence(1, .succeeded(OrderStory.price))
    #expect(open(story).isEmpty && story.order!.cases.last?.choice == nil)
    #expect(story.types.count { $0 == "case.resolved" } == 1)
  }

  @Test func whoHasSeenItNeedNotSeeItAgain() {
    var story = open()
    story.pay("a")
    story.answer(.unknown("reset"))
    silence(&story, for: .seconds(3 * 86_400))
    let command = Command.resolve(open(story)[0].id, .acknowledge, note: "the bank is closed")
    #expect(story.send(command, by: .operator("ann")).code == nil)
    silence(&story, for: .seconds(3 * 86_400))
    #expect(open(story).isEmpty)
    let item = story.order!.cases[0]
    #expect(item.resolvedBy == "ann" && item.resolvedNote == "the bank is closed" && item.choice == .acknowledge)
  }

  @Test func whatFallsSilentOnceMoreIsShownOnceMore() {
    var story = open()
    story.pay("a")
    story.answer(.unknown("reset"))
    silence(&story, for: .seconds(3 * 86_400))
    while story.calling() == nil { story.wake() }
    story.answer(.closed)
    #expect(open(story).isEmpty)
  }

  @Test func aCloseThatIsNeverConfirmed() {
    var story = open()
    story.pay("a")
    story.answer(.pending(.redirect(url: "u")))
    story.close()
    #expect(story.payment().unknownSince == nil)
    for _ in 0..<60 {
      if story.calling() == .query { story.answer(.pending(nil)) }
      if story.calling() == .close { story.answer(.rejected(Failure(code: "busy", message: ""))) }
      story.wake()
    }
    #expect(story.now.since(OrderStory.start) > .seconds(86_400) && open(story).count == 1)
  }

  @Test func aWatchThatNobodyCanEnd() {
    var story = open()
    story.pay("a", "late")
    story.answer(.pending(.redirect(url: "u")))
    story.close()
    while story.payment().isLive {
      if story.calling() == nil { story.wake() }
      story.answer(story.calling() == .query ? .pending(nil) : .closed)
    }
    #expect(story.payment().isWatched)
    silence(&story, for: .seconds(3 * 86_400))
    #expect(open(story).count == 1)
    while story.calling() == nil { story.wake() }
    story.answer(.closed)
    #expect(open(story).isEmpty)
  }

  private func paid(_ sheet: CapabilitySheet = OrderStory.burning) -> OrderStory {
    var story = open(sheet)
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    return story
  }

  @Test func aRefundOfWhichNothingIsLearned() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, .unknown("reset"))
    silence(&story, for: .seconds(3 * 86_400))
    #expect(open(story).map(\.refund) == [story.refund().id] && open(story)[0].amount.amount == 500)
    while story.callingRefund() == nil { story.wake() }
    story.answerRefund(1, .succeeded(nil))
    #expect(open(story).isEmpty)
  }

  @Test func aRefundThatIsPendingIsNotSilent() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    for _ in 0..<60 {
      if story.callingRefund() != nil { story.answerRefund(1, .pending) }
      story.wake()
    }
    #expect(story.now.since(OrderStory.start) > .seconds(86_400) && open(story).isEmpty)
  }

  @Test func aRefundThatWaitsForAnAnswerAboutAnother() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, refused)
    story.refund(key: "2", amount: 600)
    silence(&story, for: .seconds(3 * 86_400))
    #expect(story.refund(2).calls.firstSent == nil && open(story).map(\.refund) == [story.refund(1).id])
    while story.callingRefund() == nil { story.wake() }
    story.answerRefund(1, .notFound)
    #expect(open(story).isEmpty && story.callingRefund(2) == .refund)
  }

  @Test func aQuestionThatWasJustAskedIsNotSilence() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, refused)
    for key in ["2", "3", "4", "5", "6"] {
      story.pass(.seconds(2 * 86_400))
      story.refund(key: key, amount: 100)
      #expect(open(story).isEmpty, "it was asked about in this moment")
      story.answerRefund(1, .notFound)
      let index = story.order!.refunds.count
      if story.callingRefund(index) == nil { story.wake() }
      story.answerRefund(index, .succeeded(nil))
    }
    #expect(story.order!.cases.isEmpty)
  }

  @Test func whatAPersonWantsTriedAgainMayFallSilent() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1, OrderStory.cny)))
    story.answerRefund(1, refused)
    let item = story.order!.cases.last!
    #expect(item.reason == .refundRefused)
    silence(&story, for: .seconds(3 * 86_400))
    #expect(open(story).isEmpty, "it waits for a person, who knows")
    story.send(.resolve(item.id, .retry), by: .operator("ann"))
    story.answerRefund(1, .unknown("reset"))
    silence(&story, for: .seconds(3 * 86_400))
    #expect(open(story).map(\.refund) == [story.refund().id])
  }

  @Test func aConfirmedCloseIsSomethingLearnedAlsoWhereMoneyMayComeLate() {
    var story = open()
    story.pay("a", "late")
    story.answer(.unknown("reset"))
    silence(&story, for: .seconds(3 * 86_400))
    #expect(open(story).count == 1)
    while story.calling() == nil { story.wake() }
    story.answer(.closed)
    #expect(story.payment().isWatched && open(story).isEmpty)
  }

  /// A provider that speaks and falls silent for years uses up no numbers.
  @Test func aPersonIsShownTheSameOneThreeTimes() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    for _ in 1...6 {
      if story.callingRefund() == nil { story.wake() }
      story.answerRefund(1, .unknown("reset"))
      silence(&story, for: .seconds(3 * 86_400))
      while story.callingRefund() == nil { story.wake() }
      story.answerRefund(1, .pending)
      #expect(open(story).isEmpty)
    }
    #expect(story.order!.cases.count == 3)
  }

  @Test func whatCannotBeSentSinceItsProviderIsOff() {
    var story = paid()
    story.rules.accounts = []
    let command = Command.refund(
      PaymentID(order: OrderStory.id, ordinal: 1), key: IdempotencyKey("1")!, .init(amount: 500))
    let decision = decide(story.order, command, by: .payOnce, now: story.now, rules: story.rules)
    var order = decision.order!
    let later = story.now.advanced(by: .seconds(86_400))
    order = decide(order, .wake(order.id), by: .payOnce, now: later, rules: story.rules).order!
    #expect(order.cases.map(\.reason) == [.unresolved] && order.cases[0].refund == order.refunds[0].id)
  }
}
