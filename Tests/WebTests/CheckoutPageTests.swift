import Testing

@testable import PaymentCore
@testable import Web

@Suite struct CheckoutPageTests {
  private static func page(_ order: Order, isAskable: Bool = true, isElsewhere: Bool = false) -> CheckoutPage {
    CheckoutPage(order, methods: [], isAskable: isAskable, isElsewhere: isElsewhere, language: .english)
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
    order.payments[0].status = .succeeded
    order.payments[0].surplus = .mismatch
    order.refunds = [
      Refund(
        id: RefundID(order: order.id, ordinal: 1), payment: payment, key: nil, amount: order.registration.amount,
        asked: nil, cause: .surplus, reason: nil, createdAt: order.createdAt)
    ]
    return order
  }

  @Test func moneyThatComesBackByItself() {
    var order = Self.mismatched()
    #expect(Self.page(order).notice == nil)
    #expect(Self.page(order).returned.first?.hasSuffix("is being returned to you.") == true)
    order.status = .closed
    #expect(Self.page(order).text.hasSuffix("Money that came for it goes back to you by itself."))
    order.refunds[0].status = .succeeded
    #expect(Self.page(order).returned.first?.hasSuffix("was returned to you.") == true)
  }

  @Test(arguments: [Case.Reason.refundFailed, .refundRefused])
  func moneyThatAPersonHasToSendBack(_ reason: Case.Reason) {
    var order = Self.mismatched()
    order.status = .closed
    let refund = order.refunds[0]
    if reason == .refundFailed { order.refunds[0].status = .failed }
    order.cases = [
      Case(
        id: CaseID(order: order.id, ordinal: 1), reason: reason, payment: refund.payment, refund: refund.id,
        provider: ProviderName("sandbox"), amount: refund.amount, note: "", openedAt: order.createdAt)
    ]
    #expect(Self.page(order).text.hasSuffix("Money that came for it goes back to you."))
    #expect(Self.page(order).returned.first?.hasSuffix("Somebody is looking into it.") == true)
    // They did.
    order.refunds[0].status = .failed
    order.cases[0].resolvedAt = order.createdAt
    #expect(Self.page(order).text.hasSuffix("Money that came for it goes back to you."))
    #expect(Self.page(order).returned == [])
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
    order.payments[0].status = .processing
    order.payments[0].surplus = nil
    order.payments[0].calls.firstSent = .init(number: 1, at: order.createdAt)
    order.payments[0].unknownSince = order.createdAt
    #expect(Self.page(order).asked?.id == order.payments[0].id)
    #expect(Self.page(order).text.contains("We keep asking"))
    func expectNothingToDo() {
      let page = Self.page(order, isAskable: false)
      #expect(page.state == .confirming && page.asked == nil && page.acting == nil && page.closable == nil)
      #expect(page.text.contains("cannot be asked at the moment") && !page.text.contains("asking"))
      #expect(page.headline == "Not confirmed yet")
    }
    expectNothingToDo()
    order.payments[0].status = .requiresAction
    order.payments[0].action = .redirect(url: "https://bank.example/")
    #expect(Self.page(order).acting != nil)
    expectNothingToDo()
    order.payments[0].unknownSince = nil
    #expect(Self.page(order).state == .action)
    expectNothingToDo()
    order.payments[0].closeRequestedAt = order.createdAt
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
    order.payments[0].status = .processing
    order.payments[0].surplus = nil
    #expect(!order.payments[0].mayHaveLeft)
    let page = Self.page(order, isAskable: false)
    #expect(page.closable == order.payments[0].id && page.text.contains("not sent yet"))
  }
}
