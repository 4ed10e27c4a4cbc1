import PaymentCore
import Testing

/// What a database that was restored from an older copy does not know, and what providers do without being asked.
@Suite struct ForgottenStoryTests {
  private static let other = ProviderName("other")

  private func open(_ sheet: CapabilitySheet = OrderStory.burning) -> OrderStory {
    var world = OrderStory(sheet)
    world.rules.accounts.append(Account(Self.other, OrderStory.burning))
    world.register()
    return world
  }

  private func paid(refunding amounts: [Int64] = []) -> OrderStory {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(OrderStory.price))
    for amount in amounts { world.refund(key: "r\(amount)", amount: amount) }
    return world
  }

  private func back(_ amount: Int64, _ reference: String = "re_1") -> PaymentEvidence.Return {
    .init(reference: reference, amount: Money(amount, OrderStory.cny), isDispute: false)
  }

  /// Sends what another provider says about the first payment's number.
  private func hearOther(_ world: inout OrderStory) {
    world.send(
      .evidence(
        .payment(
          .init(
            payment: PaymentID(order: OrderStory.id, ordinal: 1), provider: Self.other, call: nil,
            verdict: .succeeded(OrderStory.price)))))
  }

  // MARK: Payments

  @Test func aProviderSpeaksOnlyForItsOwnAndItsMoneyIsNotLostFromSight() {
    var world = open()
    world.pay("a")
    hearOther(&world)
    hearOther(&world)
    #expect(world.payment().isLive)
    #expect(world.order?.cases.map(\.reason) == [.unknownPayment])
    #expect(world.order?.cases.map(\.provider) == [Self.other])
    world.answer(.succeeded(OrderStory.price))
    #expect(world.order?.cases[0].resolvedAt == nil, "the other provider's money is still there")
  }

  @Test func whileAProviderHasForgottenMoneyNoOtherOneIsPaid() {
    var world = open()
    hearOther(&world)
    #expect(world.pay("a").code == .paymentInProgress)
    var resolved = world
    resolved.send(.resolve(world.order!.cases[0].id, .settledOutside))
    #expect(resolved.pay("a").code == nil)
    let again = world.send(.pay(OrderStory.id, key: IdempotencyKey("b")!, provider: Self.other, method: nil))
    #expect(again.code == nil, "there the payment finds itself")
  }

  @Test func anotherAmountForTakenMoneyIsACase() {
    var world = paid()
    for _ in 1...2 { world.evidence(1, .succeeded(Money(1000, OrderStory.cny))) }
    #expect(world.order?.cases.map(\.reason) == [.wrongAmount])
    #expect(world.payment().received == OrderStory.price)
  }

  @Test func anImpossibleAmountIsDoubt() {
    for amount in [Int64.max, .min, -1] {
      var world = open()
      world.pay("a")
      world.answer(.succeeded(Money(amount, OrderStory.cny)))
      #expect(world.payment().status == .processing)
      #expect(world.payment().unknownSince != nil)
    }
  }

  private func adopt(_ world: inout OrderStory, _ ordinal: Int = 1, at provider: ProviderName = OrderStory.sandbox) {
    world.send(.adopt(PaymentID(order: OrderStory.id, ordinal: ordinal), provider))
  }

  @Test func forgottenMoneyMakesItsOrderPaid() {
    var world = open()
    adopt(&world)
    #expect(world.calling() == .query)
    #expect(world.pay("b").code == nil, "another payment may be wanted meanwhile, and waits")
    #expect(world.calling(2) == nil)
    world.answer(.succeeded(OrderStory.price))
    #expect(world.order?.status == .paid && world.order?.keptPayment?.id.ordinal == 1)
    #expect(world.payment(2).status == .closed)
    #expect(world.types.contains("order.paid"))
  }

  @Test func aForgottenPaymentIsNeverSent() {
    for sheet in [OrderStory.burning, OrderStory.forgetting, OrderStory.unscanned] {
      var world = open(sheet)
      adopt(&world)
      var asked = 0
      while world.payment().isWatched, asked < 1000 {
        #expect([nil, .query].contains(world.calling()))
        if world.calling() != nil { world.answer(.notFound) }
        asked += 1
        world.wake()
      }
      #expect(!world.payment().isWatched && asked > 1 && world.payment().status == .closed)
    }
  }

  @Test func aForgottenPaymentThatIsStillOpenIsClosed() {
    var world = open()
    adopt(&world)
    world.answer(.pending(nil))
    #expect(world.calling() == .close)
    world.answer(.closed)
    // It may have had a method whose money comes late.
    let late = OrderStory.burning.lateMoney["late"]! + world.rules.schedule.watchMargin
    #expect(world.payment().watchUntil == world.now.advanced(by: late) && world.order?.status == .open)
    #expect(world.pay("b").code == nil && world.calling(2) == nil && world.calling() == .query)
    world.answer(.closed)
    #expect(world.calling(2) == .charge)
  }

  @Test func forgottenMoneyBeyondTheNextNumberHoldsPaymentsBack() {
    var world = open()
    let later = PaymentID(order: OrderStory.id, ordinal: 2)
    world.send(
      .evidence(
        .payment(.init(payment: later, provider: OrderStory.sandbox, call: nil, verdict: .succeeded(OrderStory.price))))
    )
    #expect(world.pay("a").code == .paymentInProgress, "under the first number it would be taken again")
    for ordinal in [1, 2] { adopt(&world, ordinal) }
    world.answer(2, .succeeded(OrderStory.price))
    #expect(world.order?.keptPayment?.id == later && world.order?.cases[0].resolvedAt != nil)
  }

  @Test func forgottenMoneyOfAnOrderThatIsOverGoesBack() {
    var world = open()
    world.pass(.seconds(1000))
    #expect(world.order?.status == .closed)
    adopt(&world)
    world.answer(.succeeded(OrderStory.price))
    #expect(world.payment().surplus == .late && world.callingRefund() == .refund)

    var other = paid()
    adopt(&other, 2)
    other.answer(2, .succeeded(OrderStory.price))
    #expect(other.payment(2).surplus == .duplicate && other.callingRefund() == .refund)
  }

  @Test func onlyTheNextNumberIsTakenIn() {
    var world = open()
    for ordinal in [2, 7] { adopt(&world, ordinal) }
    #expect(world.order?.payments.isEmpty == true)
    adopt(&world, at: ProviderName("nobody"))
    #expect(world.order?.payments.isEmpty == true)
    world.pay("a")
    adopt(&world)
    #expect(world.order?.payments.count == 1 && world.payment().isLive)
  }

  // MARK: Refunds

  @Test func aForgottenRefundFindsItself() {
    var world = paid(refunding: [500])
    world.answerRefund(1, .succeeded(Money(300, OrderStory.cny)))
    #expect(world.refund().status == .succeeded)
    #expect(world.order?.amountRefunded == 300)
    #expect(world.refund(key: "r500", amount: 500).isRepeat, "the same request is the same refund")
  }

  @Test func aRefundThatIsNotStoredIsACase() {
    var world = paid()
    for _ in 1...2 {
      world.send(
        .evidence(
          .refund(
            .init(
              refund: RefundID(order: OrderStory.id, ordinal: 7), provider: OrderStory.sandbox, call: nil,
              verdict: .succeeded(OrderStory.price)))))
    }
    #expect(world.order?.cases.map(\.reason) == [.disputed])
  }

  @Test func aRefundIsNotSentAgainOnceItsKeyIsForgotten() {
    var world = open(OrderStory.forgetting)
    world.pay("a")
    world.answer(.succeeded(OrderStory.price))
    world.refund(key: "1")
    world.answerRefund(1, .unknown("reset"))
    while world.now.since(OrderStory.start) < .seconds(23 * 3600) {
      if world.callingRefund() != nil { world.answerRefund(1, .unknown("reset")) }
      world.wake()
    }
    #expect(world.callingRefund() == .queryRefund)
    // The last answer within the window was put off, or its node died: it gives no right to send any more.
    world.answerRefund(1, .notFound)
    #expect(world.refund().status == .failed)
    #expect(world.refund().calls.nextAt == nil)
  }

  @Test func aRefundThatMayBeRepeatedIsNotOnceItWasPutOffBeyondTheWindow() {
    var world = open(OrderStory.forgetting)
    world.pay("a")
    world.answer(.succeeded(OrderStory.price))
    world.refund(key: "1")
    world.answerRefund(1, .unknown("reset"))
    world.wake()
    let evidence = Evidence.refund(
      .init(
        refund: world.refund().id, provider: OrderStory.sandbox, call: world.refund().calls.lease?.number,
        verdict: .notFound
      ))
    world.order = decide(world.order, .evidence(evidence), by: .payOnce, now: world.now, rules: world.rules).order
    #expect(world.order?.due(world.now, rules: world.rules).map(\.kind) == [.refund])
    let later = world.now.advanced(by: .seconds(24 * 3600))
    #expect(world.order?.due(later, rules: world.rules).map(\.kind) == [.queryRefund])
  }

  @Test func successOfARefundThatOnlySeemedToFailCounts() {
    var world = paid(refunding: [500])
    world.answerRefund(1, .refused(Failure(code: "busy", message: "")))
    #expect(world.refund().status == .failed)
    world.answerRefund(1, .succeeded(Money(500, OrderStory.cny)))
    #expect(world.refund().status == .succeeded)
    #expect(world.order?.amountRefunded == 500)
  }

  @Test func successOfARefundThatWasProvenToFailIsOld() {
    var world = paid(refunding: [500])
    world.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    world.answerRefund(1, .succeeded(Money(500, OrderStory.cny)))
    #expect(world.refund().status == .failed)
  }

  // MARK: Returns made at the provider

  @Test func returnsTakeOffWhatIsUnsentTheNewestFirst() {
    var world = paid()
    // The provider is down: neither refund leaves.
    for (key, amount) in [("1", 500), ("2", 1499)] as [(String, Int64)] {
      world.refund(key: key, amount: amount)
      world.answerRefund(Int(key)!, .notSent)
    }
    world.evidence(1, .succeeded(OrderStory.price), returns: [back(1000)])
    #expect(world.refund(1).amount.amount == 500)
    #expect(world.refund(2).amount.amount == 499)
    #expect(world.order.map { $0.refundable($0.payments[0]) } == 0)
    #expect(world.refund(key: "2", amount: 1499).isRepeat)
  }

  @Test func aReturnThatLeavesEnoughTakesNothingOff() {
    var world = paid(refunding: [500])
    world.answerRefund(1, .notSent)
    world.evidence(1, .succeeded(OrderStory.price), returns: [back(300)])
    #expect(world.refund(1).amount.amount == 500)
  }

  @Test func returnsWithoutEndOrSenseAreCasesAndNoCrash() {
    var world = paid()
    let many = (1...1100).map { back(1, "re_\($0)") }
    world.evidence(1, .succeeded(OrderStory.price), returns: many)
    #expect(world.order!.refunds.count <= RefundID.maximum)
    let absurd = PaymentEvidence.Return(reference: "x", amount: Money(.max, OrderStory.cny), isDispute: false)
    world.evidence(1, .succeeded(OrderStory.price), returns: [absurd, absurd, back(-5, "y")])
    #expect(world.order!.cases.contains { $0.amount.amount == .max })
    #expect(world.order!.amountRefunded < 2000)
  }

  @Test func aNewRefundOfSurplusReturnsOnlyWhatIsLeft() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(Money(1000, OrderStory.cny)))
    world.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    world.evidence(1, .succeeded(Money(1000, OrderStory.cny)), returns: [back(400)])
    let item = world.order!.cases.first { $0.reason == .refundFailed }!
    world.send(.resolve(item.id, .newRefund))
    #expect(world.order!.refunds.last!.amount.amount == 600)
  }

  @Test func surplusReturnedAtTheProviderNeedsNoPersonAnyMore() {
    var world = open()
    world.pay("a")
    world.answer(.succeeded(Money(1000, OrderStory.cny)))
    world.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    world.evidence(1, .succeeded(Money(1000, OrderStory.cny)), returns: [back(1000)])
    let item = world.order!.cases.first { $0.reason == .refundFailed }!
    #expect(item.resolvedAt != nil)
    #expect(world.send(.resolve(item.id, .newRefund)).code == .invalidRequest)
  }
}
