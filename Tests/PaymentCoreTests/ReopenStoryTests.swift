import PaymentCore
import Testing

/// What becomes of an order whose time is over: it can be closed for good, or opened again.
@Suite struct ReopenStoryTests {
  /// An order past its deadline whose payment, closed at the provider, may still bring money.
  private func expired(late: Order.Registration.LatePayment = .refund) -> OrderStory {
    var world = OrderStory()
    world.register(late: late)
    world.pay("a", "late")
    world.answer(.pending(.redirect(url: "https://bank.example")))
    world.pass(.seconds(900))
    world.answer(.pending(nil))
    world.answer(.closed)
    #expect(world.order!.status == .closed)
    #expect(world.payment().isWatched)
    return world
  }

  @Test(arguments: Order.Registration.LatePayment.allCases)
  func anExpiredOrderThatTheShopClosedIsNotPaidAnyMore(late: Order.Registration.LatePayment) {
    var world = expired(late: late)
    #expect(world.send(.closeOrder(OrderStory.id)).code == nil)
    #expect(world.order!.closeReason == .cancelled)
    world.evidence(1, .succeeded(OrderStory.price))
    #expect(world.order!.status == .closed)
    #expect(world.payment().surplus == .late)
    #expect(world.callingRefund() == .refund)
  }

  @Test func aSecondCloseChangesNothing() {
    var world = expired()
    world.send(.closeOrder(OrderStory.id))
    let once = world
    world.send(.closeOrder(OrderStory.id))
    #expect(world.order == once.order)
    #expect(world.types == once.types)
  }

  @Test func anOrderThatExpiredIsOpenAgainWithANewDeadline() {
    var world = expired()
    world.pass(.seconds(5000))
    #expect(world.send(.reopenOrder(OrderStory.id, expiresIn: 120)).code == nil)
    #expect(world.order!.status == .open)
    #expect(world.order!.closeReason == nil)
    #expect(world.order!.closedAt == nil)
    #expect(world.order!.expiresAt == world.now.advanced(by: .seconds(120)))
    #expect(world.types.last == "order.reopened")
    #expect(world.send(.reopenOrder(OrderStory.id, expiresIn: 5000)).isRepeat, "an open order is as it is")
    #expect(world.order!.expiresAt == world.now.advanced(by: .seconds(120)))
    world.pass(.seconds(119))
    #expect(world.pay("b", "ok").code == nil)
    world.pass(.seconds(1))
    #expect(world.order!.closeReason == .expired)
  }

  @Test func withoutAWishItLivesAsLongAsAtFirst() {
    var world = expired()
    world.send(.reopenOrder(OrderStory.id, expiresIn: nil))
    #expect(world.order!.expiresAt == world.now.advanced(by: .seconds(900)))
  }

  @Test func moneyThatCameLateIsTheOrdersOwnOnceItIsOpenAgain() {
    var world = expired()
    world.send(.reopenOrder(OrderStory.id, expiresIn: nil))
    world.evidence(1, .succeeded(OrderStory.price))
    #expect(world.order!.status == .paid)
    #expect(world.payment().isKept)
    #expect(world.pay("b", "ok").code == .orderPaid)
  }

  @Test func aNewPaymentWaitsForTheAnswerAboutTheOldOne() {
    var world = expired()
    world.send(.reopenOrder(OrderStory.id, expiresIn: nil))
    world.pay("b", "ok")
    #expect(world.calling(2) == nil)
    #expect(world.calling(1) == .query)
    world.answer(1, .succeeded(OrderStory.price))
    #expect(world.payment(2).status == .closed, "the old one was paid: the new one ends unsent")
    #expect(!world.payment(2).mayHaveLeft)
    #expect(world.order!.status == .paid)
  }

  @Test func aPaymentThatIsBeingClosedComesToItsEndAllTheSame() {
    var world = OrderStory()
    world.register()
    world.pay("a", "late")
    world.answer(.pending(.redirect(url: "https://bank.example")))
    world.pass(.seconds(900))
    #expect(world.order!.status == .closing)
    world.send(.reopenOrder(OrderStory.id, expiresIn: nil))
    #expect(world.order!.status == .open)
    #expect(world.pay("b", "ok").code == .paymentInProgress)
    world.answer(.pending(nil))
    world.answer(.closed)
    #expect(world.order!.status == .open)
    #expect(world.pay("b", "ok").code == nil)
  }

  @Test func itCannotBeReopenedForEver() {
    var world = OrderStory()
    world.register()
    var times = 0
    while times < 20_000 {
      world.pass(.seconds(900))
      if world.send(.reopenOrder(OrderStory.id, expiresIn: nil)).code != nil { break }
      times += 1
      world.events = []
    }
    #expect(world.send(.reopenOrder(OrderStory.id, expiresIn: nil)).code == .orderClosed)
    #expect((1000..<20_000).contains(times))
    #expect(world.order!.sequence < EventID.maximumSequence)
  }
}
