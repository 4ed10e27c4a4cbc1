import PaymentCore
import Testing

/// Clocks that are wrong, and processes that are gone.
@Suite struct ClockStoryTests {
  private func paying() -> OrderStory {
    var world = OrderStory()
    world.register()
    world.pay("a", "ok")
    return world
  }

  @Test func aClockThatIsALittleBehindDoesNotSetAnOrderBack() {
    var world = paying()
    world.answer(.unknown("reset"))
    let before = world.order!.updatedAt
    world.now = world.now.advanced(by: .seconds(-29))
    world.send(.check(PaymentID(order: OrderStory.id, ordinal: 1)))
    #expect(world.order!.updatedAt >= before)
  }

  /// A clock that was a year ahead wrote something, before nodes looked after their clocks or in spite of it.
  @Test func whatAWrongClockPlannedIsNotWaitedFor() {
    var world = paying()
    world.answer(.unknown("reset"))
    let now = world.now
    world.now = now.advanced(by: .seconds(365 * 86_400))
    world.send(.check(PaymentID(order: OrderStory.id, ordinal: 1)))
    #expect(world.calling() == .query)
    world.now = now.advanced(by: .seconds(60))
    world.send(.wake(OrderStory.id))
    #expect(world.order!.updatedAt == world.now)
    #expect(world.payment().calls.lease?.askedAt == world.now, "it is asked about now")
    #expect(world.order!.wakeAt!.since(world.now) < .seconds(60))
    world.answer(.succeeded(OrderStory.price))
    #expect(world.payment().status == .succeeded)
  }

  @Test func theLeasesOfADeadProcessAreVoid() {
    var world = paying()
    #expect(world.calling() == .charge)
    world.now = world.now.advanced(by: .seconds(1))
    world.send(.recover(OrderStory.id))
    #expect(world.calling() == .query, "it is asked about at once")
    #expect(world.payment().unknownSince == world.now)
    world.answer(.notFound)
    #expect(world.calling() == .charge, "nothing of a dead process is leaving any more")
  }

  @Test func aRefundOfADeadProcessIsAskedAboutAtOnce() {
    var world = paying()
    world.answer(.succeeded(OrderStory.price))
    world.refund(key: "r", amount: 500)
    #expect(world.callingRefund() == .refund)
    world.send(.recover(OrderStory.id))
    #expect(world.callingRefund() == .queryRefund)
    world.answerRefund(1, .notFound)
    #expect(world.callingRefund() == .refund)
  }

  @Test func aRefundIsNotRepeatedWhileAFrozenNodeMaySendIt() {
    var world = paying()
    world.answer(.succeeded(OrderStory.price))
    world.refund(key: "r", amount: 500)
    let sent = world.now
    world.pass(.seconds(20))
    #expect(world.callingRefund() == .queryRefund)
    while world.callingRefund() == .queryRefund {
      world.answerRefund(1, .notFound)
      if world.callingRefund() == nil { world.wake() }
    }
    #expect(world.callingRefund() == .refund)
    #expect(world.now.since(sent) >= .seconds(40))
  }

  /// What was not found while the first one could still arrive is no reason to believe a later refusal.
  @Test func aRefundThatArrivesAtTheLastMomentIsNotCalledFailed() {
    var world = paying()
    world.answer(.succeeded(OrderStory.price))
    world.refund(key: "r", amount: 500)
    let sent = world.now
    world.pass(.seconds(20))
    while world.now.since(sent) < .seconds(38) {
      if world.callingRefund() != nil { world.answerRefund(1, .notFound) }
      world.wake()
    }
    // Here it arrives, and is done. Whoever asks from now on is told so, and nothing is sent on an older answer.
    while world.callingRefund() == nil { world.wake() }
    #expect(world.callingRefund() == .queryRefund)
    world.answerRefund(1, .notFound)
    while world.callingRefund() == nil { world.wake() }
    #expect(world.callingRefund() == .queryRefund || world.refund().calls.step <= 1)
    world.answerRefund(1, .refused(Failure(code: "already_refunded", message: "")))
    #expect(world.refund().status == .processing, "a refusal of a repeat proves nothing yet")
  }

  @Test func aRefundWhoseKeyIsForgottenIsNotCalledFailedWhileItMayArrive() {
    var world = OrderStory(
      CapabilitySheet(
        methods: ["ok"], repeatWindow: .seconds(15), createMovesMoney: false, burning: .createThenClose))
    world.register()
    world.pay("a", "ok")
    world.answer(.succeeded(OrderStory.price))
    world.refund(key: "r", amount: 500)
    world.pass(.seconds(20))
    #expect(world.callingRefund() == .queryRefund)
    world.answerRefund(1, .notFound)
    #expect(world.refund().status == .processing)
    while world.refund().status == .processing {
      if world.callingRefund() == nil { world.wake() }
      world.answerRefund(1, .notFound)
    }
    #expect(world.now.since(OrderStory.start) >= .seconds(40))
  }

  @Test func onlyWhatIsUnderWayIsRecovered() {
    var world = paying()
    world.answer(.succeeded(OrderStory.price))
    let before = world.order!
    world.send(.recover(OrderStory.id))
    #expect(world.order == before)
  }
}
