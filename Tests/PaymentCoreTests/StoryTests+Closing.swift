import PaymentCore
import Testing

/// Stories of closing an order or a payment, and of changing the method.
extension StoryTests {
  // MARK: Closing

  @Test func theDeadlineClosesAtTheProviderFirst() {
    var story = open()
    story.pay("a")
    story.answer(action)
    story.pass(.seconds(900))
    #expect(story.order?.status == .closing)
    #expect(story.order?.closeReason == .expired)
    #expect(story.payment().nextAction == nil)
    #expect(story.calling() == .query)
    story.answer(action)
    #expect(story.calling() == .close)
    story.answer(.unknown("time-out"))
    #expect(story.order?.status == .closing)
    story.wake()
    #expect(story.calling() == .query)
    story.answer(.unknown("time-out"))
    #expect(story.calling() == .close, "a close does not wait for a query that gets no answer")
    story.answer(.closed)
    #expect(story.order?.status == .closed)
  }

  @Test func anOrderThatNobodyPaysJustCloses() {
    var story = open()
    story.pass(.seconds(900))
    #expect(story.order?.status == .closed)
    #expect(story.types == ["order.created", "order.closed"])
    #expect(story.order?.wakeAt == nil)
  }

  @Test func successWhileExpiringIsKept() {
    var story = open()
    story.pay("a")
    story.answer(action)
    story.pass(.seconds(900))
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order?.status == .paid)
    #expect(story.order?.closeReason == nil)
  }

  @Test func successAfterTheShopClosedGoesBack() {
    var story = open()
    story.pay("a")
    story.answer(action)
    story.pass(.seconds(900))
    story.send(.closeOrder(OrderStory.id))
    #expect(story.order?.closeReason == .cancelled)
    story.answer(.succeeded(OrderStory.price))
    #expect(story.payment().surplus == .late)
    #expect(story.order?.status == .closed)
    #expect(story.refund().cause == .surplus)
  }

  @Test func lateMoneyIsRefundedOrAcceptedAsTheShopWants() {
    for late in [Order.Registration.LatePayment.refund, .accept] {
      var story = open(late: late)
      story.pay("a", "late")
      story.answer(action)
      story.pass(.seconds(900))
      story.answer(action)
      story.answer(.closed)
      #expect(story.order?.status == .closed)
      #expect(story.payment().isWatched)
      story.wake()
      #expect(story.calling() == .query)
      story.answer(.succeeded(OrderStory.price))
      #expect(story.payment().surplus == (late == .accept ? nil : .late))
      #expect(story.order?.status == (late == .accept ? .paid : .closed))
      #expect(story.order?.refunds.count == (late == .accept ? 0 : 1))
    }
  }

  @Test func aWatchEndsWithAnAnswerThatWasAskedForAtItsEnd() {
    var story = open()
    story.pay("a", "late")
    story.answer(action)
    story.pass(.seconds(900))
    story.answer(action)
    story.answer(.closed)
    let end = story.payment().watchUntil!
    while story.payment().isWatched, story.now < end.advanced(by: .seconds(600)) {
      story.wake()
      story.answer(story.now < end.advanced(by: .seconds(5)) ? .unknown("down") : .closed)
    }
    #expect(story.payment().isWatched == false)
    #expect(story.payment().calls.answeredAskAt! >= end)
    #expect(story.order?.wakeAt == nil)
  }

  // MARK: Switching

  @Test func anotherMethodWaitsForTheConfirmedClose() {
    var story = open()
    story.pay("a")
    story.answer(action)
    #expect(story.pay("b").code == .paymentInProgress)
    story.close()
    #expect(story.pay("b").code == .paymentInProgress)
    story.answer(action)
    story.answer(.closed)
    #expect(story.order?.status == .open)
    #expect(story.pay("b").code == nil)
    #expect(story.calling(2) == .charge)
  }

  @Test func aNewPaymentIsNotSentUntilTheWatchedOneAnswered() {
    var story = open(OrderStory.unscanned)
    story.pay("a")
    story.answer(.pending(.qrCode(content: "wxp://1")))
    story.close()
    story.answer(.notFound)
    #expect(story.calling() == .close)
    story.answer(.closedSoftly)
    #expect(story.payment().status == .closed)
    #expect(story.payment().isWatched)
    story.pay("b")
    #expect(story.calling(2) == nil)
    #expect(story.calling(1) == .query)
    story.answer(1, .unknown("down"))
    story.wake()
    #expect(story.calling(2) == nil, "no answer, no charge")
    story.answer(1, .notFound)
    #expect(story.calling(2) == .charge)
  }

  @Test func aWatchedOneThatTurnsOutPaidEndsTheNewOneUnsent() {
    var story = open(OrderStory.unscanned)
    story.pay("a")
    story.answer(.pending(.qrCode(content: "wxp://1")))
    story.close()
    story.answer(.notFound)
    story.answer(.closedSoftly)
    story.pay("b")
    story.answer(1, .succeeded(OrderStory.price))
    #expect(story.order?.keptPayment?.id.ordinal == 1)
    #expect(story.payment(2).status == .closed)
    #expect(story.payment(2).mayHaveLeft == false)
  }

  @Test func aQueryAskedBeforeTheNewPaymentDoesNotCount() {
    var story = open(OrderStory.unscanned)
    story.pay("a")
    story.answer(.pending(.qrCode(content: "wxp://1")))
    story.close()
    story.answer(.notFound)
    story.answer(.closedSoftly)
    story.wake()
    #expect(story.calling(1) == .query)
    let earlier = story.payment(1).calls.lease?.number
    story.pay("b")
    #expect(story.payment(1).calls.lease?.number == earlier.map { $0 + 1 }, "it is asked again at once")
    story.evidence(1, .notFound, call: earlier)
    #expect(story.calling(2) == nil)
    story.answer(1, .notFound)
    #expect(story.calling(2) == .charge)
  }

  @Test func aSoftlyClosedOneThatWasBegunIsClosedAgain() {
    var story = open(OrderStory.unscanned)
    story.pay("a")
    story.answer(.pending(.qrCode(content: "wxp://1")))
    story.close()
    story.answer(.notFound)
    story.answer(.closedSoftly)
    story.wake()
    story.answer(.pending(nil))
    #expect(story.calling() == .close)
    story.answer(.closed)
    #expect(story.payment().isWatched == false)
  }

  @Test func whatMayBeOnItsWayUnseenIsBurnt() {
    var story = open(OrderStory.forgetting)
    story.pay("a")
    story.answer(.unknown("time-out"))
    story.close()
    #expect(story.calling() == .query)
    story.answer(.notFound)
    #expect(story.calling() == .charge, "made again under the same key, to have something to close")
    story.answer(action)
    #expect(story.payment().nextAction == nil)
    #expect(story.calling() == .close)
    story.answer(.closed)
    #expect(story.payment().status == .closed)
  }

  @Test func aBurnThatIsRefusedGoesOnToTheClose() {
    var story = open(OrderStory.forgetting)
    story.pay("a")
    story.answer(.unknown("time-out"))
    story.close()
    story.answer(.notFound)
    story.answer(.rejected(Failure(code: "expired", message: "")))
    #expect(story.calling() == .close)
  }
}
