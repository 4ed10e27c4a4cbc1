import PaymentCore
import Testing

/// A provider that wants to be asked later: nothing is unknown, and it is left alone for so long.
@Suite struct NotNowStoryTests {
  private func open(_ sheet: CapabilitySheet = OrderStory.burning) -> OrderStory {
    var story = OrderStory(sheet)
    story.register()
    return story
  }

  @Test func aChargeThatIsTurnedAwayIsMadeLater() {
    var story = open()
    story.pay("a")
    let asked = story.now
    story.answer(.notNow(.seconds(60)))
    #expect(story.payment().status == .processing && story.payment().unknownSince == nil)
    #expect(!story.types.contains("payment.unknown"))
    story.wake()
    #expect(story.now.since(asked) == .seconds(60) && story.calling() == .query)
    story.answer(.notFound)
    #expect(story.calling() == .charge, "under the same number")
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order?.status == .paid)
  }

  @Test func aLongerWaitOfTheScheduleCounts() {
    var story = open()
    story.pay("a")
    story.answer(.pending(.redirect(url: "u")))
    while story.payment().calls.step < 12 {
      if story.calling() == nil { story.wake() }
      story.answer(.pending(nil))
    }
    if story.calling() == nil { story.wake() }
    let asked = story.now
    story.answer(.notNow(.seconds(1)))
    story.wake()
    #expect(story.now.since(asked) >= .seconds(5))
  }

  @Test func aCloseThatIsTurnedAwayIsMadeLater() {
    var story = open()
    story.pay("a")
    story.answer(.pending(.redirect(url: "u")))
    story.close()
    story.answer(.pending(nil))
    #expect(story.calling() == .close)
    let asked = story.now
    story.answer(.notNow(.seconds(30)))
    #expect(story.payment().isLive && story.payment().unknownSince == nil && story.calling() == nil)
    story.wake()
    #expect(story.now.since(asked) == .seconds(30))
    story.answer(.pending(nil))
    story.answer(.closed)
    #expect(story.payment().status == .closed)
  }

  @Test func aWatchIsAskedAboutLater() {
    var story = open()
    story.pay("a", "late")
    story.answer(.pending(.redirect(url: "u")))
    story.close()
    story.answer(.pending(nil))
    story.answer(.closed)
    #expect(story.payment().isWatched)
    if story.calling() == nil { story.wake() }
    let asked = story.now
    story.answer(.notNow(.seconds(20)))
    story.wake()
    #expect(story.now.since(asked) == .seconds(20) && story.calling() == .query)
  }

  /// The account has not enough money: it may have some in an hour.
  @Test func aRefundThatIsTurnedAwayIsMadeLater() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    story.refund(key: "1", amount: 500)
    for _ in 1...3 {
      let asked = story.now
      #expect(story.callingRefund() == .refund)
      story.answerRefund(1, .notNow(.seconds(3600)))
      #expect(story.refund().status == .processing && story.refund().unknownSince == nil)
      story.wake()
      #expect(story.now.since(asked) >= .seconds(3600) && story.callingRefund() == .queryRefund)
      story.answerRefund(1, .notFound)
    }
    story.answerRefund(1, .succeeded(nil))
    #expect(story.order!.amountRefunded == 500)
  }

  @Test func theLateWordOfACallThatWasGivenUpPutsNothingOff() {
    var story = open()
    story.pay("a")
    let first = story.payment().calls.lease!.number
    story.pass(.seconds(21))
    #expect(story.calling() == .query)
    story.evidence(1, .notNow(.seconds(600)), call: first)
    story.answer(.notFound)
    #expect(story.payment().calls.nextAt.map { $0.since(story.now) < .seconds(600) } ?? true)
  }
}
