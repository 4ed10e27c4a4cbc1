import PaymentCore
import Testing

/// What a database that was restored from an older copy does not know, and what providers do without being asked.
@Suite struct ForgottenStoryTests {
  private static let other = ProviderName("other")

  private func open(_ sheet: CapabilitySheet = OrderStory.burning) -> OrderStory {
    var story = OrderStory(sheet)
    story.rules.accounts.append(Account(Self.other, OrderStory.burning))
    story.register()
    return story
  }

  private func paid(refunding amounts: [Int64] = []) -> OrderStory {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    for amount in amounts { story.refund(key: "r\(amount)", amount: amount) }
    return story
  }

  private func back(_ amount: Int64, _ reference: String = "re_1") -> PaymentEvidence.Return {
    .init(reference: reference, amount: Money(amount, OrderStory.cny), isDispute: false)
  }

  /// Sends what another provider says about the first payment's number.
  private func hearOther(_ story: inout OrderStory) {
    story.send(
      .evidence(
        .payment(
          .init(
            payment: PaymentID(order: OrderStory.id, ordinal: 1), provider: Self.other, call: nil,
            verdict: .succeeded(OrderStory.price)))))
  }

  // MARK: Payments

  @Test func aProviderSpeaksOnlyForItsOwnAndItsMoneyIsNotLostFromSight() {
    var story = open()
    story.pay("a")
    hearOther(&story)
    hearOther(&story)
    #expect(story.payment().isLive)
    #expect(story.order?.cases.map(\.reason) == [.unknownPayment])
    #expect(story.order?.cases.map(\.provider) == [Self.other])
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order?.cases[0].resolvedAt == nil, "the other provider's money is still there")
  }

  @Test func whileAProviderHasForgottenMoneyNoOtherOneIsPaid() {
    var story = open()
    hearOther(&story)
    #expect(story.pay("a").code == .paymentInProgress)
    var resolved = story
    resolved.send(.resolve(story.order!.cases[0].id, .settledOutside))
    #expect(resolved.pay("a").code == nil)
    let again = story.send(.pay(OrderStory.id, key: IdempotencyKey("b")!, provider: Self.other, method: nil))
    #expect(again.code == nil, "there the payment finds itself")
  }

  @Test func anotherAmountForTakenMoneyIsACase() {
    var story = paid()
    for _ in 1...2 { story.evidence(1, .succeeded(Money(1000, OrderStory.cny))) }
    #expect(story.order?.cases.map(\.reason) == [.wrongAmount])
    #expect(story.payment().received == OrderStory.price)
  }

  @Test func anImpossibleAmountIsDoubt() {
    for amount in [Int64.max, .min, -1] {
      var story = open()
      story.pay("a")
      story.answer(.succeeded(Money(amount, OrderStory.cny)))
      #expect(story.payment().status == .processing)
      #expect(story.payment().unknownSince != nil)
    }
  }

  private func adopt(_ story: inout OrderStory, _ ordinal: Int = 1, at provider: ProviderName = OrderStory.sandbox) {
    story.send(.adopt(PaymentID(order: OrderStory.id, ordinal: ordinal), provider))
  }

  @Test func forgottenMoneyMakesItsOrderPaid() {
    var story = open()
    adopt(&story)
    #expect(story.calling() == .query)
    #expect(story.pay("b").code == nil, "another payment may be wanted meanwhile, and waits")
    #expect(story.calling(2) == nil)
    story.answer(.succeeded(OrderStory.price))
    #expect(story.order?.status == .paid && story.order?.keptPayment?.id.ordinal == 1)
    #expect(story.payment(2).status == .closed)
    #expect(story.types.contains("order.paid"))
  }

  @Test func aForgottenPaymentIsNeverSent() {
    for sheet in [OrderStory.burning, OrderStory.forgetting, OrderStory.unscanned] {
      var story = open(sheet)
      adopt(&story)
      var asked = 0
      while story.payment().isWatched, asked < 1000 {
        #expect([nil, .query].contains(story.calling()))
        if story.calling() != nil { story.answer(.notFound) }
        asked += 1
        story.wake()
      }
      #expect(!story.payment().isWatched && asked > 1 && story.payment().status == .closed)
    }
  }

  @Test func aForgottenPaymentThatIsStillOpenIsClosed() {
    var story = open()
    adopt(&story)
    story.answer(.pending(nil))
    #expect(story.calling() == .close)
    story.answer(.closed)
    // It may have had a method whose money comes late.
    let late = OrderStory.burning.lateMoney["late"]! + story.rules.schedule.watchMargin
    #expect(story.payment().watchUntil == story.now.advanced(by: late) && story.order?.status == .open)
    #expect(story.pay("b").code == nil && story.calling(2) == nil && story.calling() == .query)
    story.answer(.closed)
    #expect(story.calling(2) == .charge)
  }

  @Test func forgottenMoneyBeyondTheNextNumberHoldsPaymentsBack() {
    var story = open()
    let later = PaymentID(order: OrderStory.id, ordinal: 2)
    story.send(
      .evidence(
        .payment(.init(payment: later, provider: OrderStory.sandbox, call: nil, verdict: .succeeded(OrderStory.price))))
    )
    #expect(story.pay("a").code == .paymentInProgress, "under the first number it would be taken again")
    for ordinal in [1, 2] { adopt(&story, ordinal) }
    story.answer(2, .succeeded(OrderStory.price))
    #expect(story.order?.keptPayment?.id == later && story.order?.cases[0].resolvedAt != nil)
  }

  @Test func forgottenMoneyOfAnOrderThatIsOverGoesBack() {
    var story = open()
    story.pass(.seconds(1000))
    #expect(story.order?.status == .closed)
    adopt(&story)
    story.answer(.succeeded(OrderStory.price))
    #expect(story.payment().surplus == .late && story.callingRefund() == .refund)

    var other = paid()
    adopt(&other, 2)
    other.answer(2, .succeeded(OrderStory.price))
    #expect(other.payment(2).surplus == .duplicate && other.callingRefund() == .refund)
  }

  @Test func onlyTheNextNumberIsTakenIn() {
    var story = open()
    for ordinal in [2, 7] { adopt(&story, ordinal) }
    #expect(story.order?.payments.isEmpty == true)
    adopt(&story, at: ProviderName("nobody"))
    #expect(story.order?.payments.isEmpty == true)
    story.pay("a")
    adopt(&story)
    #expect(story.order?.payments.count == 1 && story.payment().isLive)
  }

  // MARK: Refunds

  @Test func aForgottenRefundFindsItself() {
    var story = paid(refunding: [500])
    story.answerRefund(1, .succeeded(Money(300, OrderStory.cny)))
    #expect(story.refund().status == .succeeded)
    #expect(story.order?.amountRefunded == 300)
    #expect(story.refund(key: "r500", amount: 500).isRepeat, "the same request is the same refund")
  }

  @Test func aRefundThatIsNotStoredIsACase() {
    var story = paid()
    for _ in 1...2 {
      story.send(
        .evidence(
          .refund(
            .init(
              refund: RefundID(order: OrderStory.id, ordinal: 7), provider: OrderStory.sandbox, call: nil,
              verdict: .succeeded(OrderStory.price)))))
    }
    #expect(story.order?.cases.map(\.reason) == [.disputed])
  }

  @Test func aRefundIsNotSentAgainOnceItsKeyIsForgotten() {
    var story = open(OrderStory.forgetting)
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    story.refund(key: "1")
    story.answerRefund(1, .unknown("reset"))
    while story.now.since(OrderStory.start) < .seconds(23 * 3600) {
      if story.callingRefund() != nil { story.answerRefund(1, .unknown("reset")) }
      story.wake()
    }
    #expect(story.callingRefund() == .queryRefund)
    // The last answer within the window was put off, or its node died: it gives no right to send any more.
    story.answerRefund(1, .notFound)
    #expect(story.refund().status == .failed)
    #expect(story.refund().calls.nextAt == nil)
  }

  @Test func aRefundThatMayBeRepeatedIsNotOnceItWasPutOffBeyondTheWindow() {
    var story = open(OrderStory.forgetting)
    story.pay("a")
    story.answer(.succeeded(OrderStory.price))
    story.refund(key: "1")
    story.answerRefund(1, .unknown("reset"))
    story.wake()
    let evidence = Evidence.refund(
      .init(
        refund: story.refund().id, provider: OrderStory.sandbox, call: story.refund().calls.lease?.number,
        verdict: .notFound
      ))
    story.order = decide(story.order, .evidence(evidence), by: .payOnce, now: story.now, rules: story.rules).order
    #expect(story.order?.due(story.now, rules: story.rules).map(\.kind) == [.refund])
    let later = story.now.advanced(by: .seconds(24 * 3600))
    #expect(story.order?.due(later, rules: story.rules).map(\.kind) == [.queryRefund])
  }

  @Test func successOfARefundThatOnlySeemedToFailCounts() {
    var story = paid(refunding: [500])
    story.answerRefund(1, .refused(Failure(code: "busy", message: "")))
    #expect(story.refund().status == .failed)
    story.answerRefund(1, .succeeded(Money(500, OrderStory.cny)))
    #expect(story.refund().status == .succeeded)
    #expect(story.order?.amountRefunded == 500)
  }

  @Test func successOfARefundThatWasProvenToFailIsOld() {
    var story = paid(refunding: [500])
    story.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    story.answerRefund(1, .succeeded(Money(500, OrderStory.cny)))
    #expect(story.refund().status == .failed)
  }

  // MARK: Returns made at the provider

  @Test func returnsTakeOffWhatIsUnsentTheNewestFirst() {
    var story = paid()
    // The provider is down: neither refund leaves.
    for (key, amount) in [("1", 500), ("2", 1499)] as [(String, Int64)] {
      story.refund(key: key, amount: amount)
      story.answerRefund(Int(key)!, .notSent)
    }
    story.evidence(1, .succeeded(OrderStory.price), returns: [back(1000)])
    #expect(story.refund(1).amount.amount == 500)
    #expect(story.refund(2).amount.amount == 499)
    #expect(story.order.map { $0.refundable($0.payments[0]) } == 0)
    #expect(story.refund(key: "2", amount: 1499).isRepeat)
  }

  @Test func aReturnThatLeavesEnoughTakesNothingOff() {
    var story = paid(refunding: [500])
    story.answerRefund(1, .notSent)
    story.evidence(1, .succeeded(OrderStory.price), returns: [back(300)])
    #expect(story.refund(1).amount.amount == 500)
  }

  @Test func returnsWithoutEndOrSenseAreCasesAndNoCrash() {
    var story = paid()
    let many = (1...1100).map { back(1, "re_\($0)") }
    story.evidence(1, .succeeded(OrderStory.price), returns: many)
    #expect(story.order!.refunds.count <= RefundID.maximum)
    let absurd = PaymentEvidence.Return(reference: "x", amount: Money(.max, OrderStory.cny), isDispute: false)
    story.evidence(1, .succeeded(OrderStory.price), returns: [absurd, absurd, back(-5, "y")])
    #expect(story.order!.cases.contains { $0.amount.amount == .max })
    #expect(story.order!.amountRefunded < 2000)
  }

  @Test func aNewRefundOfSurplusReturnsOnlyWhatIsLeft() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1000, OrderStory.cny)))
    story.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    story.evidence(1, .succeeded(Money(1000, OrderStory.cny)), returns: [back(400)])
    let item = story.order!.cases.first { $0.reason == .refundFailed }!
    story.send(.resolve(item.id, .newRefund))
    #expect(story.order!.refunds.last!.amount.amount == 600)
  }

  @Test func surplusReturnedAtTheProviderNeedsNoPersonAnyMore() {
    var story = open()
    story.pay("a")
    story.answer(.succeeded(Money(1000, OrderStory.cny)))
    story.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    story.evidence(1, .succeeded(Money(1000, OrderStory.cny)), returns: [back(1000)])
    let item = story.order!.cases.first { $0.reason == .refundFailed }!
    #expect(item.resolvedAt != nil)
    #expect(story.send(.resolve(item.id, .newRefund)).code == .invalidRequest)
  }
}
