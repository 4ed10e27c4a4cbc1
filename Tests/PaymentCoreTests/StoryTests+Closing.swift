import PaymentCore
import Testing

/// Stories of closing an order or a payment, and of changing the method.
extension StoryTests {
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
}
