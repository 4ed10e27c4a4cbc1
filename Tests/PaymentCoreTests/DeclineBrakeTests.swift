import PaymentCore
import Testing

/// Card testing: a robot that tries card after card on one order, and the buyer whose order it is.
@Suite struct DeclineBrakeTests {
  private func declined(_ count: Int) -> OrderStory {
    var story = OrderStory()
    story.register()
    for number in 0..<count {
      #expect(story.pay("robot-\(number)", "ok").code == nil, "try \(number)")
      story.answer(number + 1, .failed(Failure(code: "declined", message: "")))
    }
    return story
  }

  private func retryAfter(_ outcome: Outcome) -> Int64? {
    if case .failure(let refusal) = outcome { refusal.retryAfter } else { nil }
  }

  @Test func aPersonWithAFewCardsIsNotHeldUp() {
    var story = declined(4)
    #expect(!story.types.contains("payment.throttled"))
    #expect(story.pay("fifth", "ok").code == nil)
    story.answer(5, .succeeded(OrderStory.price))
    #expect(story.order!.status == .paid)
  }

  @Test func afterThatEachTryHasToWaitLonger() {
    var story = declined(5)
    #expect(story.types.last == "payment.throttled")
    #expect(story.events.last!.data["declines"] == .integer(5))
    #expect(story.events.last!.data["retry_after"] == .integer(10))
    for (number, pause) in [(5, 10), (6, 30), (7, 60), (8, 120)] {
      let refused = story.pay("robot-\(number)", "ok")
      #expect(refused.code == .tooManyPayments)
      #expect(retryAfter(refused) == Int64(pause))
      story.now = story.now.advanced(by: .seconds(pause) - .milliseconds(1))
      #expect(story.pay("robot-\(number)", "ok").code == .tooManyPayments)
      story.now = story.now.advanced(by: .milliseconds(1))
      #expect(story.pay("robot-\(number)", "ok").code == nil)
      story.answer(number + 1, .failed(Failure(code: "declined", message: "")))
    }
    #expect(story.types.count { $0 == "payment.throttled" } == 5)
  }

  @Test func inTheEndTheOrderTakesNoMorePayments() {
    var story = OrderStory()
    story.register()
    story.order = nil
    story.send(
      .register(
        .init(merchant: OrderStory.merchant, reference: "r-1", amount: OrderStory.price, expiresIn: 30 * 86_400),
        number: OrderStory.number, id: OrderStory.id, checkoutSecret: 99))
    var tries = 0
    while tries < 100 {
      let outcome = story.pay("robot-\(tries)", "ok")
      if outcome.code == .tooManyPayments, let seconds = retryAfter(outcome) {
        story.now = story.now.advanced(by: .seconds(seconds))
        continue
      }
      guard outcome.code == nil else { break }
      tries += 1
      story.answer(tries, .failed(Failure(code: "declined", message: "")))
    }
    #expect(tries == 20)
    let refused = story.pay("buyer", "ok")
    #expect(refused.code == .tooManyPayments)
    #expect(retryAfter(refused) == nil)
    #expect(story.events.last!.data["retry_after"] == .null)
    #expect(story.order!.brake(story.now, story.rules.schedule.declines) == .ended)
  }

  @Test func whatTheKeyStartedIsStillAnswered() {
    var story = declined(5)
    #expect(story.pay("robot-0", "ok").isRepeat)
  }

  @Test func aPaymentUnderWayIsSaidFirst() {
    var story = declined(4)
    story.pay("fifth", "ok")
    #expect(story.pay("sixth", "ok").code == .paymentInProgress)
  }

  /// Tries that were given up are no declines, and have a bound of their own.
  @Test func aHundredTriesAreTheMost() {
    var story = OrderStory()
    story.register()
    for number in 1...Order.maximumPayments {
      #expect(story.pay("try-\(number)", "ok").code == nil)
      story.answer(number, .closed)
    }
    #expect(story.pay("one more", "ok").code == .tooManyPayments)
  }
}
