import PaymentCore
import Testing

/// Card testing: a robot that tries card after card on one order, and the buyer whose order it is.
@Suite struct DeclineBrakeTests {
  private func declined(_ count: Int) -> OrderStory {
    var world = OrderStory()
    world.register()
    for number in 0..<count {
      #expect(world.pay("robot-\(number)", "ok").code == nil, "try \(number)")
      world.answer(number + 1, .failed(Failure(code: "declined", message: "")))
    }
    return world
  }

  private func retryAfter(_ outcome: Outcome) -> Int64? {
    if case .failure(let refusal) = outcome { refusal.retryAfter } else { nil }
  }

  @Test func aPersonWithAFewCardsIsNotHeldUp() {
    var world = declined(4)
    #expect(!world.types.contains("payment.throttled"))
    #expect(world.pay("fifth", "ok").code == nil)
    world.answer(5, .succeeded(OrderStory.price))
    #expect(world.order!.status == .paid)
  }

  @Test func afterThatEachTryHasToWaitLonger() {
    var world = declined(5)
    #expect(world.types.last == "payment.throttled")
    #expect(world.events.last!.data["declines"] == .integer(5))
    #expect(world.events.last!.data["retry_after"] == .integer(10))
    for (number, pause) in [(5, 10), (6, 30), (7, 60), (8, 120)] {
      let refused = world.pay("robot-\(number)", "ok")
      #expect(refused.code == .tooManyPayments)
      #expect(retryAfter(refused) == Int64(pause))
      world.now = world.now.advanced(by: .seconds(pause) - .milliseconds(1))
      #expect(world.pay("robot-\(number)", "ok").code == .tooManyPayments)
      world.now = world.now.advanced(by: .milliseconds(1))
      #expect(world.pay("robot-\(number)", "ok").code == nil)
      world.answer(number + 1, .failed(Failure(code: "declined", message: "")))
    }
    #expect(world.types.count { $0 == "payment.throttled" } == 5)
  }

  @Test func inTheEndTheOrderTakesNoMorePayments() {
    var world = OrderStory()
    world.register()
    world.order = nil
    world.send(
      .register(
        .init(merchant: OrderStory.merchant, reference: "r-1", amount: OrderStory.price, expiresIn: 30 * 86_400),
        id: OrderStory.id,
        checkoutSecret: 99))
    var tries = 0
    while tries < 100 {
      let outcome = world.pay("robot-\(tries)", "ok")
      if outcome.code == .tooManyPayments, let seconds = retryAfter(outcome) {
        world.now = world.now.advanced(by: .seconds(seconds))
        continue
      }
      guard outcome.code == nil else { break }
      tries += 1
      world.answer(tries, .failed(Failure(code: "declined", message: "")))
    }
    #expect(tries == 20)
    let refused = world.pay("buyer", "ok")
    #expect(refused.code == .tooManyPayments)
    #expect(retryAfter(refused) == nil)
    #expect(world.events.last!.data["retry_after"] == .null)
    #expect(world.order!.brake(world.now, world.rules.schedule.declines) == .ended)
  }

  @Test func whatTheKeyStartedIsStillAnswered() {
    var world = declined(5)
    #expect(world.pay("robot-0", "ok").isRepeat)
  }

  @Test func aPaymentUnderWayIsSaidFirst() {
    var world = declined(4)
    world.pay("fifth", "ok")
    #expect(world.pay("sixth", "ok").code == .paymentInProgress)
  }

  /// Tries that were given up are no declines, and have a bound of their own.
  @Test func aHundredTriesAreTheMost() {
    var world = OrderStory()
    world.register()
    for number in 1...Order.maximumPayments {
      #expect(world.pay("try-\(number)", "ok").code == nil)
      world.answer(number, .closed)
    }
    #expect(world.pay("one more", "ok").code == .tooManyPayments)
  }
}
