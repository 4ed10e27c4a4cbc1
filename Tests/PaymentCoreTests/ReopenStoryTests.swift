import PaymentCore
import Testing

/// What becomes of an order whose time is over: it can be closed for good, or opened again.
@Suite struct ReopenStoryTests {
  /// An order past its deadline whose payment, closed at the provider, may still bring money.
  private func expired(late: Order.Registration.LatePayment = .refund) -> OrderStory {
    var story = OrderStory()
    story.register(late: late)
    story.pay("a", "late")
    story.answer(.pending(.redirect(url: "https://bank.example")))
    story.pass(.seconds(900))
    story.answer(.pending(nil))
    story.answer(.closed)
    #expect(story.order!.status == .closed)
    #expect(story.payment().isWatched)
    return story
  }

  @Test(arguments: Order.Registration.LatePayment.allCases)
  func anExpiredOrderThatTheShopClosedIsNotPaidAnyMore(late: Order.Registration.LatePayment) {
    var story = expired(late: late)
    #expect(story.send(.closeOrder(OrderStory.id)).code == nil)
    #expect(story.order!.closeReason == .cancelled)
    story.evidence(1, .succeeded(OrderStory.price))
    #expect(story.order!.status == .closed)
    #expect(story.payment().surplus == .late)
    #expect(story.callingRefund() == .refund)
  }

  @Test func aSecondCloseChangesNothing() {
    var story = expired()
    story.send(.closeOrder(OrderStory.id))
    let once = story
    story.send(.closeOrder(OrderStory.id))
    #expect(story.order == once.order)
    #expect(story.types == once.types)
  }

  @Test func anOrderThatExpiredIsOpenAgainWithANewDeadline() {
    var story = expired()
    story.pass(.seconds(5000))
    #expect(story.send(.reopenOrder(OrderStory.id, expiresIn: 120)).code == nil)
    #expect(story.order!.status == .open)
    #expect(story.order!.closeReason == nil)
    #expect(story.order!.closedAt == nil)
    #expect(story.order!.expiresAt == story.now.advanced(by: .seconds(120)))
    #expect(story.types.last == "order.reopened")
    #expect(story.send(.reopenOrder(OrderStory.id, expiresIn: 5000)).isRepeat, "an open order is as it is")
    #expect(story.order!.expiresAt == story.now.advanced(by: .seconds(120)))
    story.pass(.seconds(119))
    #expect(story.pay("b", "ok").code == nil)
    story.pass(.seconds(1))
    #expect(story.order!.closeReason == .expired)
  }

  @Test func withoutAWishItLivesAsLongAsAtFirst() {
    var story = expired()
    story.send(.reopenOrder(OrderStory.id, expiresIn: nil))
    #expect(story.order!.expiresAt == story.now.advanced(by: .seconds(900)))
  }

  @Test func moneyThatCameLateIsTheOrdersOwnOnceItIsOpenAgain() {
    var story = expired()
    story.send(.reopenOrder(OrderStory.id, expiresIn: nil))
    story.evidence(1, .succeeded(OrderStory.price))
    #expect(story.order!.status == .paid)
    #expect(story.payment().isKept)
    #expect(story.pay("b", "ok").code == .orderPaid)
  }

  @Test func aNewPaymentWaitsForTheAnswerAboutTheOldOne() {
    var story = expired()
    story.send(.reopenOrder(OrderStory.id, expiresIn: nil))
    story.pay("b", "ok")
    #expect(story.calling(2) == nil)
    #expect(story.calling(1) == .query)
    story.answer(1, .succeeded(OrderStory.price))
    #expect(story.payment(2).status == .closed, "the old one was paid: the new one ends unsent")
    #expect(!story.payment(2).mayHaveLeft)
    #expect(story.order!.status == .paid)
  }

  @Test func aPaymentThatIsBeingClosedComesToItsEndAllTheSame() {
    var story = OrderStory()
    story.register()
    story.pay("a", "late")
    story.answer(.pending(.redirect(url: "https://bank.example")))
    story.pass(.seconds(900))
    #expect(story.order!.status == .closing)
    story.send(.reopenOrder(OrderStory.id, expiresIn: nil))
    #expect(story.order!.status == .open)
    #expect(story.pay("b", "ok").code == .paymentInProgress)
    story.answer(.pending(nil))
    story.answer(.closed)
    #expect(story.order!.status == .open)
    #expect(story.pay("b", "ok").code == nil)
  }

  @Test func itCannotBeReopenedForEver() {
    var story = OrderStory()
    story.register()
    var times = 0
    while times < 20_000 {
      story.pass(.seconds(900))
      if story.send(.reopenOrder(OrderStory.id, expiresIn: nil)).code != nil { break }
      times += 1
      story.events = []
    }
    #expect(story.send(.reopenOrder(OrderStory.id, expiresIn: nil)).code == .orderClosed)
    #expect((1000..<20_000).contains(times))
    #expect(story.order!.sequence < EventID.maximumSequence)
  }
}
