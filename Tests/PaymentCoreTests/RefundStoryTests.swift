import PaymentCore
import Testing

/// Refunds end once, whatever comes late and whoever lost its memory.
@Suite struct RefundStoryTests {
  private func paid(_ sheet: CapabilitySheet = OrderStory.burning, _ money: Money = OrderStory.price) -> OrderStory {
    var story = OrderStory(sheet)
    story.register()
    story.pay("a")
    story.answer(.succeeded(money))
    return story
  }

  private func refused(_ code: String = "not_enough") -> RefundEvidence.Verdict {
    .refused(Failure(code: code, message: ""))
  }

  private func evidence(_ story: inout OrderStory, _ ordinal: Int, _ call: Int?, _ verdict: RefundEvidence.Verdict) {
    let id = RefundID(order: OrderStory.id, ordinal: ordinal)
    story.send(.evidence(.refund(.init(refund: id, provider: OrderStory.sandbox, call: call, verdict: verdict))))
  }

  /// The provider answers nothing, and every query finds nothing, until the refund is about to be sent once more.
  private func repeating(_ story: inout OrderStory) {
    while story.refund().calls.step < 6 || story.callingRefund() != .refund {
      if story.callingRefund() == nil { story.wake() }
      if story.callingRefund() == .refund, story.refund().calls.step >= 6 { return }
      story.answerRefund(1, story.callingRefund() == .queryRefund ? .notFound : .unknown("reset"))
    }
  }

  @Test func aLateRefusalOfAFrozenNodeEndsNothing() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    repeating(&story)
    let frozen = story.refund().calls.lease!.number
    story.pass(.seconds(40))
    while story.callingRefund() != .refund {
      if story.callingRefund() == nil { story.wake() }
      if story.callingRefund() == .queryRefund { story.answerRefund(1, .notFound) }
    }
    let second = story.refund().calls.lease!.number
    #expect(second != frozen)
    // The frozen node thaws.
    evidence(&story, 1, frozen, refused())
    #expect(story.refund().status == .processing)
    evidence(&story, 1, second, .succeeded(Money(500, OrderStory.cny)))
    #expect(story.refund().status == .succeeded && story.order!.amountRefunded == 500)
  }

  /// The provider lost everything for a day: the refund is called failed, and its money waits for a person.
  private func inferred() -> OrderStory {
    var story = paid(OrderStory.forgetting, Money(1, OrderStory.cny))
    while story.refund().status == .processing {
      if story.callingRefund() == nil { story.wake() }
      story.answerRefund(1, story.callingRefund() == .queryRefund ? .notFound : .unknown("reset"))
    }
    #expect(story.refund().failureBasis == .notFound)
    story.send(.resolve(story.order!.cases.last!.id, .newRefund))
    return story
  }

  @Test func whatFailedByInferenceIsAskedAboutBeforeTheNextNumberLeaves() {
    var story = inferred()
    #expect(story.callingRefund(1) == .queryRefund && story.callingRefund(2) == nil)
    story.answerRefund(1, .succeeded(Money(1, OrderStory.cny)))
    #expect(story.refund(1).status == .succeeded)
    #expect(story.refund(2).status == .failed && story.refund(2).failureBasis == .settled, "it never leaves")
    #expect(story.order!.refunds.allSatisfy { $0.calls.nextAt == nil })

    story = inferred()
    story.answerRefund(1, .notFound)
    #expect(story.callingRefund(1) == nil && story.callingRefund(2) == .refund)
    // Should the provider do it all the same, and then the other one, too, somebody has to look.
    evidence(&story, 1, nil, .succeeded(Money(1, OrderStory.cny)))
    #expect(story.order!.refunds.map(\.status) == [.succeeded, .processing])
    #expect(!story.order!.cases.contains { $0.reason == .disputed }, "no more went back than came")
    story.answerRefund(2, .succeeded(nil))
    #expect(story.order!.refunds.map(\.status) == [.succeeded, .succeeded])
    #expect(story.order!.cases.contains { $0.reason == .disputed && $0.resolvedAt == nil })
  }

  @Test func aShopsNextRefundWaitsForTheAnswerAboutTheLast() {
    var story = paid(OrderStory.forgetting)
    story.refund(key: "1", amount: 1999)
    while story.refund().status == .processing {
      if story.callingRefund() == nil { story.wake() }
      story.answerRefund(1, story.callingRefund() == .queryRefund ? .notFound : .unknown("reset"))
    }
    #expect(story.refund(key: "2", amount: 1500).code == nil)
    #expect(story.callingRefund(1) == .queryRefund && story.callingRefund(2) == nil)
    story.pass(.seconds(60))
    #expect(story.callingRefund(2) == nil, "nobody came back with the answer")
    if story.callingRefund(1) == nil { story.wake() }
    story.answerRefund(1, .succeeded(nil))
    #expect(story.order!.refunds.map(\.status) == [.succeeded, .failed] && story.order!.amountRefunded == 1999)
  }

  @Test func anOldFailureDoesNotOverturnASuccess() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    let call = story.refund().calls.lease!.number
    evidence(&story, 1, call, .succeeded(nil))
    for number in [call, nil] {
      evidence(&story, 1, number, .failed(Failure(code: "abnormal", message: "")))
      #expect(story.refund().status == .succeeded && story.callingRefund() == .queryRefund)
    }
    story.answerRefund(1, .unknown("reset"))
    #expect(story.refund().status == .succeeded && story.refund().unknownSince == nil)
    story.wake()
    story.answerRefund(1, .succeeded(nil))
    #expect(story.refund().status == .succeeded && story.refund().calls.nextAt == nil)
    #expect(story.types.count { $0 == "refund.succeeded" } == 1)
  }

  /// However it comes to that: the earlier one fails while the later one waits, or the later one did not leave.
  @Test func whoWaitsForAnAnswerHasItAskedFor() {
    for isWithdrawnFirst in [true, false] {
      var story = paid()
      story.refund(key: "1", amount: 500)
      story.refund(key: "2", amount: 600)
      if isWithdrawnFirst { story.answerRefund(2, .notSent) }
      story.answerRefund(1, refused())
      if !isWithdrawnFirst { story.answerRefund(2, .notSent) }
      #expect(story.refund().failureBasis == .refused && story.refund(2).calls.firstSent == nil)
      #expect(story.callingRefund(1) == .queryRefund && story.callingRefund(2) == nil)
      story.answerRefund(1, .notFound)
      if story.callingRefund(2) == nil { story.wake() }
      #expect(story.callingRefund(2) == .refund)
    }
  }

  @Test func whatWasAskedForInsteadIsTakenOff() {
    var story = paid(OrderStory.forgetting)
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, refused())
    story.refund(key: "2", amount: 500)
    story.answerRefund(1, .succeeded(nil))
    #expect(story.refund(2).failureBasis == .settled && story.order!.amountRefunded == 500)
    story.refund(key: "3", amount: 700)
    story.answerRefund(3, refused())
    story.refund(key: "4", amount: 900)
    story.answerRefund(3, .succeeded(nil))
    #expect(story.refund(4).amount.amount == 200 && story.callingRefund(4) == .refund)
  }

  /// What was answered about the second refund says nothing of the moment in which the third one leaves.
  @Test func eachNextRefundHasItAskedAgain() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, refused())
    story.refund(key: "2", amount: 300)
    story.answerRefund(1, .notFound)
    if story.callingRefund(2) == nil { story.wake() }
    story.answerRefund(2, .succeeded(nil))
    story.refund(key: "3", amount: 200)
    #expect(story.callingRefund(1) == .queryRefund && story.callingRefund(3) == nil)
    story.answerRefund(1, .notFound)
    if story.callingRefund(3) == nil { story.wake() }
    #expect(story.callingRefund(3) == .refund)
  }

  @Test func aFailureIsProvenLater() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, refused())
    story.refund(key: "2", amount: 500)
    let events = story.events.count
    // The provider cannot be asked, but tells.
    evidence(&story, 1, nil, .failed(Failure(code: "account_closed", message: "")))
    #expect(story.refund().failureBasis == .proven && story.events.count == events)
    #expect(story.callingRefund(2) == .refund)
  }

  @Test func aQuestionFromBeforeAWordDoesNotAnswerIt() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, .succeeded(nil))
    evidence(&story, 1, nil, .failed(Failure(code: "abnormal", message: "")))
    let first = story.refund().calls.lease!.number
    evidence(&story, 1, nil, .failed(Failure(code: "abnormal", message: "")))
    evidence(&story, 1, first, .succeeded(nil))
    #expect(story.callingRefund() == .queryRefund && story.refund().calls.lease!.number != first)
    story.answerRefund(1, .failed(Failure(code: "abnormal", message: "")))
    #expect(story.refund().failureBasis == .proven)
  }

  @Test func aRefusedQuestionEndsNothing() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    while story.refund().calls.step < 8 || story.callingRefund() != .refund {
      if story.callingRefund() == nil { story.wake() }
      if story.callingRefund() == .refund, story.refund().calls.step >= 8 { break }
      story.answerRefund(1, story.callingRefund() == .queryRefund ? .notFound : .unknown("reset"))
    }
    // Nobody comes back from it, and while it may still be leaving there are two questions in a row.
    story.pass(.seconds(21))
    #expect(story.callingRefund() == .queryRefund)
    story.answerRefund(1, .notFound)
    story.wake()
    #expect(story.callingRefund() == .queryRefund && story.refund().calls.last?.finding == .notFound)
    story.answerRefund(1, refused())
    #expect(story.refund().status == .processing)
  }

  @Test func whatEndedIsNeverSentAgain() {
    var story = paid()
    let back = PaymentEvidence.Return(reference: "re_1", amount: Money(500, OrderStory.cny), isDispute: false)
    story.evidence(1, .succeeded(OrderStory.price), returns: [back])
    #expect(story.refund().status == .succeeded && story.refund().calls.firstSent == nil)
    // Under no number of ours can anybody be asked about it.
    evidence(&story, 1, nil, .failed(Failure(code: "abnormal", message: "")))
    #expect(story.refund().status == .succeeded && story.callingRefund() == nil)
  }

  @Test func aProvenFailureIsOverturnedByTheProvidersAnswerAlone() {
    var story = paid()
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, .refused(Failure(code: "busy", message: "")))
    #expect(story.refund().failureBasis == .refused)
    story = paid()
    story.refund(key: "1", amount: 500)
    story.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    #expect(story.refund().failureBasis == .proven && story.refund().calls.nextAt == nil)
    // What was proven does not hold the next one back.
    story.refund(key: "2", amount: 500)
    #expect(story.callingRefund(2) == .refund)
    story.answerRefund(2, .succeeded(nil))
    evidence(&story, 1, nil, .succeeded(nil))
    #expect(story.refund().status == .failed && story.callingRefund() == .queryRefund)
    story.answerRefund(1, .failed(Failure(code: "account_closed", message: "")))
    #expect(story.refund().status == .failed && story.refund().calls.nextAt == nil && story.order!.cases.isEmpty)
    evidence(&story, 1, nil, .succeeded(nil))
    story.answerRefund(1, .succeeded(nil))
    #expect(story.order!.amountRefunded == 1000)
    #expect(story.order!.cases.map(\.reason) == [.disputed])
  }

  @Test func whatIsRefusedSinceSomeWentBackElsewhereIsEndedByTheRest() {
    var story = paid(OrderStory.burning, Money(2000, OrderStory.cny))
    story.answerRefund(1, .unknown("reset"))
    let back = PaymentEvidence.Return(reference: "re_1", amount: Money(500, OrderStory.cny), isDispute: false)
    story.evidence(1, .succeeded(Money(2000, OrderStory.cny)), returns: [back])
    for _ in 0..<100 where story.refund().calls.nextAt != nil {
      if story.callingRefund() == nil { story.wake() }
      story.answerRefund(1, story.callingRefund() == .queryRefund ? .notFound : refused("exceeds_charge"))
    }
    let item = story.order!.cases.last!
    #expect(item.reason == .refundRefused && item.resolvedAt == nil)
    #expect(story.send(.resolve(item.id, .newRefund)).code == nil)
    #expect(story.refund(3).amount.amount == 1500 && story.callingRefund(3) == nil)
    story.answerRefund(1, .notFound)
    story.answerRefund(3, .succeeded(nil))
    #expect(story.order!.refunds.map(\.status) == [.failed, .succeeded, .succeeded])
    #expect(story.order!.refundable(story.payment()) == 0)
  }

  @Test func noTwoRefundsOfSurplusAreOnTheirWay() {
    let order = paid(OrderStory.burning, Money(1, OrderStory.cny)).order!
    func with(_ refunds: [Refund]) -> Order {
      Order(
        restored: order.id, number: order.number, registration: order.registration,
        checkoutSecret: order.checkoutSecret,
        createdAt: order.createdAt, expiresAt: order.expiresAt, status: order.status, closeReason: order.closeReason,
        paidAt: order.paidAt, closedAt: order.closedAt, updatedAt: order.updatedAt, version: order.version,
        sequence: order.sequence, duplicates: order.duplicates, payments: order.payments, refunds: refunds,
        cases: order.cases)
    }
    let first = order.refunds[0]
    func refund(
      _ ordinal: Int, of payment: Int = 1, _ number: RefundNumber? = RefundNumber(bits: 7),
      _ cause: Refund.Cause = .surplus
    ) -> Refund {
      Refund(
        id: RefundID(order: order.id, ordinal: ordinal), number: number,
        payment: PaymentID(order: order.id, ordinal: payment), key: nil, amount: first.amount, asked: nil, cause: cause,
        reason: nil, createdAt: first.createdAt)
    }
    #expect(order.keepsTheGuards && with([first]).keepsTheGuards)
    #expect(with([first, refund(2, of: 1, .init(bits: 7), .requested)]).keepsTheGuards)
    #expect(!with([first, refund(2, of: 1, first.number, .requested)]).keepsTheGuards, "one number, two refunds")
    #expect(!with([first, refund(2, of: 1, nil, .requested)]).keepsTheGuards, "nobody could be asked about it")
    #expect(!with([first, refund(2)]).keepsTheGuards)
    #expect(!with([first, refund(2, of: 2)]).keepsTheGuards, "there is no such payment")
  }
}
