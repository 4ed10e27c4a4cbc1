import Site
import Testing

@testable import Checkout
@testable import PaymentCore

@Suite struct CheckoutPageTests {
  private static func page(
    _ order: Order, brake: DeclineBrake.Position = .open, isAskable: Bool = true, isElsewhere: Bool = false
  ) -> CheckoutPage {
    CheckoutPage(
      order, methods: [], brake: brake, isAskable: isAskable, isElsewhere: isElsewhere, language: .english)
  }

  /// The order with a payment of the wrong amount, and its refund.
  private static func mismatched() -> Order {
    var order = FakeHouse.order
    let payment = PaymentID(order: order.id, ordinal: 1)
    order.payments = [
      Payment(
        id: payment, key: IdempotencyKey("k")!, provider: ProviderName("sandbox"), method: "ok", askedMethod: nil,
        amount: order.registration.amount,
        createdAt: order.createdAt, expiresAt: order.expiresAt)
    ]
    order.payments[0].put(.succeeded(.init(order.registration.amount, surplus: .mismatch)))
    order.refunds = [
      Refund(
        id: RefundID(order: order.id, ordinal: 1), number: RefundNumber(bits: 1), payment: payment, key: nil,
        amount: order.registration.amount,
        asked: nil, cause: .surplus, reason: nil, createdAt: order.createdAt)
    ]
    return order
  }

  private static let failed = Refund.State.failed(Failure(code: "refused", message: ""), .refused)

  @Test func moneyThatComesBackByItself() {
    var order = Self.mismatched()
    #expect(Self.page(order).notice == nil)
    #expect(Self.page(order).returned.first?.hasSuffix("is being returned to you.") == true)
    order.status = .closed
    #expect(Self.page(order).text.hasSuffix("Money that came for it goes back to you by itself."))
    order.refunds[0].put(.succeeded)
    #expect(Self.page(order).returned.first?.hasSuffix("was returned to you.") == true)
  }

  @Test(arguments: [Case.Reason.refundFailed, .refundRefused])
  func moneyThatAPersonHasToSendBack(_ reason: Case.Reason) {
    var order = Self.mismatched()
    order.status = .closed
    let refund = order.refunds[0]
    if reason == .refundFailed { order.refunds[0].put(Self.failed) }
    order.cases = [
      Case(
        id: CaseID(order: order.id, ordinal: 1), reason: reason, payment: refund.payment, refund: refund.id,
        provider: ProviderName("sandbox"), amount: refund.amount, note: "", openedAt: order.createdAt)
    ]
    #expect(Self.page(order).text.hasSuffix("Money that came for it goes back to you."))
    #expect(Self.page(order).returned.first?.hasSuffix("Somebody is looking into it.") == true)
    // They did.
    order.refunds[0].put(Self.failed)
    order.cases[0].resolvedAt = order.createdAt
    #expect(Self.page(order).text.hasSuffix("Money that came for it goes back to you."))
    #expect(Self.page(order).returned == [])
  }

  /// A paid order of CN¥19.99 with refunds of these minor units.
  private static func refunded(_ refunds: (Int64, Refund.Status)...) -> CheckoutPage {
    var order = mismatched()
    order.status = .paid
    order.payments[0].put(.succeeded(.init(order.registration.amount, surplus: nil)))
    order.refunds = refunds.enumerated().map { index, refund in
      var made = Refund(
        id: RefundID(order: order.id, ordinal: index + 1), number: RefundNumber(bits: UInt128(index)),
        payment: order.payments[0].id, key: nil,
        amount: Money(refund.0, order.registration.amount.currency), asked: nil, cause: .requested, reason: nil,
        createdAt: order.createdAt)
      switch refund.1 {
      case .processing: break
      case .succeeded: made.put(.succeeded)
      case .failed: made.put(Self.failed)
      }
      return made
    }
    return page(order)
  }

  @Test func whatWentBackIsSummedUp() {
    let whole = Self.refunded((1999, .succeeded))
    #expect(whole.state == .refunded && whole.headline == "Refunded" && whole.returned == [])
    #expect(whole.text == "CN¥19.99 was returned to you.")
    let parts = Self.refunded((500, .succeeded), (300, .processing), (200, .succeeded), (100, .processing))
    #expect(parts.state == .refunded && parts.headline == "Partly refunded")
    #expect(parts.text == "Of CN¥19.99 that was paid, CN¥7.00 was returned to you.")
    #expect(parts.returned == ["CN¥4.00 is on its way back to you."])
    #expect(Self.refunded((999, .succeeded), (1000, .succeeded)).headline == "Refunded")
    let coming = Self.refunded((1000, .processing), (999, .processing))
    #expect(coming.state == .refunded && coming.headline == "Being refunded")
    #expect(coming.text == "CN¥19.99 was paid.")
    #expect(coming.returned == ["CN¥19.99 is on its way back to you."])
    // A small part that is on its way takes nothing from what is true.
    let small = Self.refunded((1, .processing))
    #expect(small.state == .paid && small.headline == "Paid")
    #expect(small.returned == ["CN¥0.01 is on its way back to you."])
  }

  @Test func aRefundThatFailedIsNotSaidToBeReturned() {
    let whole = Self.refunded((1999, .failed))
    #expect(whole.state == .paid && whole.headline == "Paid")
    #expect(whole.returned == ["A refund of CN¥19.99 did not go through. Please ask the shop."])
    let part = Self.refunded((500, .succeeded), (300, .failed))
    #expect(part.text == "Of CN¥19.99 that was paid, CN¥5.00 was returned to you.")
    #expect(part.returned == ["A refund of CN¥3.00 did not go through. Please ask the shop."])
    // Another one took its place.
    #expect(Self.refunded((1999, .failed), (1999, .succeeded)).returned == [])
    #expect(Self.refunded((300, .failed), (500, .succeeded)).returned == [])
    #expect(Self.refunded((500, .succeeded), (1499, .succeeded), (1, .failed)).returned == [])
  }

  /// That nothing was charged is not taken back in the same breath.
  @Test func moneyThatMayStillCome() {
    var order = Self.mismatched()
    order.refunds = []
    order.payments[0].put(.closed(watchUntil: order.expiresAt))
    func said() -> String { [Self.page(order).notice, Self.page(order).text].compactMap { $0 }.joined(separator: " ") }
    #expect(said().contains("So far you have not been charged.") && said().contains("it counts for this order"))
    order.status = .closed
    order.closeReason = .expired
    #expect(said().contains("So far you have not been charged.") && said().contains("it goes back to you by itself"))
    order.payments[0].put(.closed(watchUntil: nil))
    #expect(said().contains("You were not charged.") && !said().contains("So far"))
  }

  /// After many declined tries the page says why it offers nothing, and until when.
  @Test func aBrakeOnDeclines() {
    var order = Self.mismatched()
    order.refunds = []
    order.payments[0].put(.failed(Failure(code: "declined", message: ""), watchUntil: nil))
    let end = order.createdAt.advanced(by: .seconds(30))
    let paused = Self.page(order, brake: .paused(until: end))
    #expect(paused.state == .failed && paused.retryAt == end && paused.headline == "The bank declined")
    #expect(paused.text == "You were not charged. Too many tries were declined. There is a pause before the next one.")
    let ended = Self.page(order, brake: .ended)
    #expect(ended.state == .failed && ended.retryAt == nil)
    #expect(ended.text.contains("takes no more") && !ended.text.contains("try again"))
    order.payments[0].put(.closed(watchUntil: nil))
    #expect(Self.page(order, brake: .ended).headline == "Not paid")
    // A payment that runs is shown as it is.
    order.payments[0].put(.processing(.init()))
    #expect(
      Self.page(order, brake: .ended).state == .confirming
        && Self.page(order, brake: .paused(until: end)).retryAt == nil)
  }

  /// Who was charged twice is not told the contrary, also when the first charge went back.
  @Test func paidElsewhereAfterMoneyThatWasNotKept() {
    var order = Self.mismatched()
    order.status = .paid
    #expect(!Self.page(order, isElsewhere: true).text.contains("charged once"))
    order.payments = []
    #expect(Self.page(order, isElsewhere: true).text.contains("charged once"))
  }

  /// A provider that was turned off is not said to be asked.
  @Test func aPaymentWhoseProviderCannotBeAsked() {
    var order = Self.mismatched()
    order.refunds = []
    let unknown = Payment.Pending(unknownSince: order.createdAt)
    let action = NextAction.redirect(url: "https://bank.example/")
    order.payments[0].put(.processing(unknown))
    order.payments[0].calls.firstSent = .init(number: 1, at: order.createdAt)
    #expect(Self.page(order).asked?.id == order.payments[0].id)
    #expect(Self.page(order).text.contains("We keep asking"))
    func expectNothingToDo() {
      let page = Self.page(order, isAskable: false)
      #expect(page.state == .confirming && page.asked == nil && page.acting == nil && page.closable == nil)
      #expect(page.text.contains("cannot be asked at the moment") && !page.text.contains("asking"))
      #expect(page.headline == "Not confirmed yet")
    }
    expectNothingToDo()
    order.payments[0].put(.requiresAction(action, unknown))
    #expect(Self.page(order).acting != nil)
    expectNothingToDo()
    order.payments[0].put(.requiresAction(action, .init()))
    #expect(Self.page(order).state == .action)
    expectNothingToDo()
    order.payments[0].put(.requiresAction(action, .init()), closeRequestedAt: order.createdAt)
    #expect(Self.page(order).text.contains("Then you can choose again"))
    expectNothingToDo()
    for reason in [Order.CloseReason.expired, .cancelled] {
      order.status = .closing
      order.closeReason = reason
      #expect(Self.page(order).text.contains("We are asking the bank"))
      expectNothingToDo()
    }
  }

  /// What was not sent can be ended without its provider.
  @Test func aPaymentThatWasNotSentToAProviderThatIsOff() {
    var order = Self.mismatched()
    order.refunds = []
    order.payments[0].put(.processing(.init()))
    #expect(!order.payments[0].mayHaveLeft)
    let page = Self.page(order, isAskable: false)
    #expect(page.closable == order.payments[0].id && page.text.contains("not sent yet"))
  }
}

extension Payment {
  /// Puts it into a state, however it came there.
  fileprivate mutating func put(_ state: State, closeRequestedAt: Instant? = nil) {
    self = Payment(
      restored: self, state: state, closeRequestedAt: closeRequestedAt, updatedAt: updatedAt, calls: calls)
  }
}

extension Refund {
  fileprivate mutating func put(_ state: State) {
    self = Refund(restored: self, state: state, providerReference: nil, updatedAt: updatedAt, calls: calls)
  }
}
