import Foundation
import PaymentCore
import Testing

/// Walks every sequence of commands up to a length, and asserts the invariants after each step. Sequences that lead to
/// the same state are walked on together and counted apart.
@Suite struct WalkTests {
  @Test(arguments: [
    ("burning", OrderStory.burning), ("forgetting", OrderStory.forgetting), ("unscanned", OrderStory.unscanned),
  ])
  func everyShortSequence(name: String, sheet: CapabilitySheet) {
    var start = OrderStory(sheet)
    start.register()
    var layer: [OrderStory: Int] = [start: 1]
    var sequences = 0
    var states = 0
    for _ in 1...Self.length {
      var next: [OrderStory: Int] = [:]
      for (story, paths) in layer {
        for step in Self.steps(in: story) {
          var after = story
          let command = step(&after)
          sequences += paths
          let rules = broken(after, after: story, command)
          if !rules.isEmpty {
            Issue.record("\(rules) by \(String(describing: command)) after \(story.types)")
            return
          }
          next[after, default: 0] += paths
        }
      }
      states += next.count
      layer = next
    }
    print("walked \(sequences) sequences of up to \(Self.length) commands over \(states) states (\(name))")
    #expect(sequences > 100_000)
  }

  /// Seven take a minute in debug; `PAYONCE_WALK=8` goes further.
  private static let length = ProcessInfo.processInfo.environment["PAYONCE_WALK"].flatMap { Int($0) } ?? 6

  typealias Step = (inout OrderStory) -> Command?

  /// What can be done next. Answers are given to calls in flight only; notices may say anything at any time.
  private static func steps(in story: OrderStory) -> [Step] {
    var steps: [Step] = []
    func add(_ command: Command) {
      steps.append {
        $0.send(command)
        return command
      }
    }
    let order = story.order!
    add(.closeOrder(OrderStory.id))
    if order.closeReason != nil { add(.reopenOrder(OrderStory.id, expiresIn: 60)) }
    if order.isLeased { add(.recover(OrderStory.id)) }
    for (key, method) in [("a", "ok"), ("b", "late")] {
      add(.pay(OrderStory.id, key: IdempotencyKey(key)!, provider: OrderStory.sandbox, method: method))
    }
    steps.append { story in
      story.wake()
      return .wake(OrderStory.id)
    }
    for payment in order.payments.prefix(2) {
      add(.closePayment(payment.id))
      func evidence(_ verdict: PaymentEvidence.Verdict, _ call: Int?) {
        add(.evidence(.payment(.init(payment: payment.id, provider: OrderStory.sandbox, call: call, verdict: verdict))))
      }
      evidence(.succeeded(OrderStory.price), nil)
      evidence(.failed(Failure(code: "declined", message: "")), nil)
      if let lease = payment.calls.lease {
        for verdict in answers(to: lease.kind) { evidence(verdict, lease.number) }
      }
    }
    for refund in order.refunds.prefix(2) {
      if let lease = refund.calls.lease {
        for verdict in [.succeeded(nil), .refused(Failure(code: "no", message: "")), .unknown(""), .notFound, .notSent]
          as [RefundEvidence.Verdict]
        {
          add(
            .evidence(
              .refund(.init(refund: refund.id, provider: OrderStory.sandbox, call: lease.number, verdict: verdict))))
        }
      }
      add(
        .evidence(
          .refund(
            .init(
              refund: refund.id, provider: OrderStory.sandbox, call: nil,
              verdict: .failed(Failure(code: "returned", message: ""))))))
    }
    if order.status == .paid, let kept = order.keptPayment {
      add(.refund(kept.id, key: IdempotencyKey("r")!, .init(amount: 999)))
      add(.refund(kept.id, key: IdempotencyKey("s")!, .init(amount: nil)))
    }
    return steps
  }

  private static func answers(to kind: Call.Kind) -> [PaymentEvidence.Verdict] {
    let doubt: [PaymentEvidence.Verdict] = [.unknown("no answer"), .notSent]
    switch kind {
    case .charge:
      return doubt + [
        .succeeded(OrderStory.price), .succeeded(Money(1, OrderStory.cny)),
        .pending(.redirect(url: "https://bank.example")),
        .failed(Failure(code: "declined", message: "")), .rejected(Failure(code: "invalid_charge", message: "")),
      ]
    case .query:
      return doubt + [
        .notFound, .pending(nil), .closed, .declined(Failure(code: "card", message: ""), .redirect(url: "https://b")),
      ]
    case .close: return doubt + [.closed, .closedSoftly, .rejected(Failure(code: "busy", message: ""))]
    case .refund, .queryRefund: return []
    }
  }
}
