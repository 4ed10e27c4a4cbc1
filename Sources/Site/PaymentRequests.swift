package import Contract
import HTTPTypes
package import Hummingbird
package import PaymentCore
package import PaymentEngine

/// The requests that shops and buyers make in the same form: to start a payment, and to close one. API and Checkout
/// have routes of their own, and this type reads, performs and answers what comes in on them.
package struct PaymentRequests: Sendable {
  private let engine: Engine
  private let reading: any Reading
  private let rendering: Rendering

  package init(engine: Engine, reading: any Reading, rendering: Rendering) {
    self.engine = engine
    self.reading = reading
    self.rendering = rendering
  }

  /// A payment that this request started, or that an earlier one with the same key started.
  package struct Started: Sendable {
    package let payment: PaymentView
    package let isRepeat: Bool
  }

  // MARK: Starting

  package func start(_ id: OrderID, _ request: Request, by caller: Caller) async throws -> Started {
    let (key, start, wait) = try await reading.parsing(about: id, by: caller) { () throws in
      (try request.idempotencyKey(), try StartPayment(body: try await request.bytes()), try request.preferredWait())
    }
    return try await pay(id, key: key, start, by: caller, within: wait)
  }

  /// Starts a payment, or finds the one that the key started. Then waits until it is no longer `processing`, for at
  /// most `wait`.
  /// - Throws: the refusal or the fault of the journal.
  package func pay(
    _ id: OrderID, key: IdempotencyKey, _ start: StartPayment, by caller: Caller, within wait: Duration
  ) async throws -> Started {
    let command = Command.pay(id, key: key, provider: start.provider, method: start.method)
    let (reply, order) = try await engine.journal.perform(command, by: caller, within: wait) { reply, now in
      if case .payment(let id, _, _) = reply { now.payment(id)?.status != .processing } else { true }
    }
    guard case .payment(let id, _, let isRepeat) = reply, let payment = order.view(id) else {
      throw ProblemError(.internalError)
    }
    return Started(payment: payment, isRepeat: isRepeat)
  }

  package func response(_ started: Started) -> Response {
    var headers: HTTPFields = [.location: "/v1/payments/\(started.payment.id.text)"]
    if started.isRepeat { headers[.idempotencyReplayed] = "true" }
    return .json(
      rendering.payment(started.payment), status: started.payment.status == .processing ? .accepted : .created,
      headers: headers)
  }

  // MARK: Closing

  package func close(_ id: PaymentID, _ request: Request, by caller: Caller) async throws -> Response {
    let wait = try await waitAlone(id, request, by: caller)
    let payment = try await closed(id, by: caller, within: wait)
    return .json(rendering.payment(payment), status: payment.isLive ? .accepted : .ok)
  }

  /// Asks for the payment's close and waits until it is not live any more, for at most `wait`.
  package func closed(_ id: PaymentID, by caller: Caller, within wait: Duration) async throws -> PaymentView {
    try await follow(.closePayment(id), id, by: caller, within: wait) { !$1.isLive }
  }

  // MARK: Following

  /// Sends a command about a payment and waits until the payment meets the condition, for at most `wait`.
  /// - Returns: the payment as it is then, whether or not it meets the condition.
  package func follow(
    _ command: Command, _ id: PaymentID, by caller: Caller, within wait: Duration,
    until isMet: @escaping @Sendable (_ before: Payment, _ now: Payment) -> Bool
  ) async throws -> PaymentView {
    let (_, order) = try await engine.journal.perform(command, by: caller, within: wait) { reply, now in
      guard case .payment(_, let order, _) = reply, let before = order.payment(id), let payment = now.payment(id)
      else { return true }
      return isMet(before, payment)
    }
    return try order.view(id).orNotFound("payment")
  }

  /// How long a request about a payment is ready to wait, where a body must have no fields.
  /// - Throws: that there is no such payment, before what is wrong with the request.
  package func waitAlone(_ id: PaymentID, _ request: Request, by caller: Caller) async throws -> Duration {
    try await reading.parsing(about: id.order, payment: id, by: caller) { () throws in
      try NoFields.check(body: try await request.bytes())
      return try request.preferredWait()
    }
  }
}
