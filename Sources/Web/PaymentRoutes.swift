import Contract
import HTTPTypes
import Hummingbird
import PaymentCore
import PaymentEngine

extension WebServices {
  func addPayments(to routes: inout Routes, _ keys: KeyRing) {
    routes.on(.post, "/v1/orders/:id/payments") { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: OrderID = try context.id()
      return response(try await start(id, request, by: .merchant(merchant)))
    }
    routes.on(.get, "/v1/orders/:id/payments") { request, context in
      let merchant = try await keys.merchant(of: request)
      let order = try await order(context.id(), of: merchant)
      return .json(rendering.list(order.payments.map(order.view), next: nil) { Rendering.payment($0, into: &$1) })
    }
    routes.on(.get, "/v1/payments/:id", query: ["wait"]) { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: PaymentID = try context.id()
      let payment: PaymentView
      if let seconds = try request.queryInteger("wait", in: 0...60), seconds > 0 {
        payment = try await ended(id, by: .merchant(merchant), within: .seconds(seconds))
      } else {
        payment = try await order(id.order, of: merchant).view(id).orNotFound("payment")
      }
      return .json(rendering.payment(payment))
    }
    routes.on(.post, "/v1/payments/:id/check") { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: PaymentID = try context.id()
      let wait = try await waitAlone(id, request, by: .merchant(merchant))
      return .json(rendering.payment(try await checked(id, by: .merchant(merchant), within: wait)))
    }
    routes.on(.post, "/v1/payments/:id/close") { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: PaymentID = try context.id()
      let wait = try await waitAlone(id, request, by: .merchant(merchant))
      return response(closing: try await closed(id, by: .merchant(merchant), within: wait))
    }
  }

  /// A shop's or a buyer's request to start a payment.
  func start(
    _ id: OrderID, _ request: Request, by caller: Caller
  ) async throws -> (payment: PaymentView, isRepeat: Bool) {
    let (key, start, wait) = try await parsing(about: id, by: caller) { () throws in
      (try request.idempotencyKey(), try StartPayment(body: try await request.bytes()), try request.preferredWait())
    }
    return try await pay(id, key: key, start, by: caller, wait: wait)
  }

  /// How long a request about a payment that has no fields is ready to wait.
  func waitAlone(_ id: PaymentID, _ request: Request, by caller: Caller) async throws -> Duration {
    try await parsing(about: id.order, payment: id, by: caller) { () throws in
      try NoFields.check(body: try await request.bytes())
      return try request.preferredWait()
    }
  }

  func response(closing payment: PaymentView) -> Response {
    .json(rendering.payment(payment), status: payment.isLive ? .accepted : .ok)
  }

  /// Starts a payment, or finds the one that the key started, and waits for its outcome.
  func pay(
    _ id: OrderID, key: IdempotencyKey, _ start: StartPayment, by caller: Caller, wait: Duration
  ) async throws -> (payment: PaymentView, isRepeat: Bool) {
    let command = Command.pay(id, key: key, provider: start.provider, method: start.method)
    let (reply, order) = try await engine.perform(command, by: caller, within: wait) { reply, now in
      if case .payment(let id, _, _) = reply { now.payment(id)?.status != .processing } else { true }
    }
    guard case .payment(let id, _, let isRepeat) = reply, let payment = order.view(id) else {
      throw ProblemError(.internalError)
    }
    return (payment, isRepeat)
  }

  func response(_ started: (payment: PaymentView, isRepeat: Bool)) -> Response {
    var headers: HTTPFields = [.location: "/v1/payments/\(started.payment.id.text)"]
    if started.isRepeat { headers[.idempotencyReplayed] = "true" }
    return .json(
      rendering.payment(started.payment), status: started.payment.status == .processing ? .accepted : .created,
      headers: headers)
  }

  /// The payment once it has ended, or as it is when the time is over. Its provider is asked first.
  func ended(_ id: PaymentID, by caller: Caller, within wait: Duration) async throws -> PaymentView {
    try await follow(.check(id), id, by: caller, within: wait) { !$1.isLive }
  }

  /// The payment after its provider was asked once more.
  private func checked(_ id: PaymentID, by caller: Caller, within wait: Duration) async throws -> PaymentView {
    try await follow(.check(id), id, by: caller, within: wait) { before, payment in
      !payment.isLive || (payment.calls.lease == nil && payment.calls.last != before.calls.last)
    }
  }

  /// The payment after it was given up.
  func closed(_ id: PaymentID, by caller: Caller, within wait: Duration) async throws -> PaymentView {
    try await follow(.closePayment(id), id, by: caller, within: wait) { !$1.isLive }
  }

  /// Sends a command about a payment and waits until the payment meets the condition.
  private func follow(
    _ command: Command, _ id: PaymentID, by caller: Caller, within wait: Duration,
    until isMet: @escaping @Sendable (_ before: Payment, _ now: Payment) -> Bool
  ) async throws -> PaymentView {
    let (_, order) = try await engine.perform(command, by: caller, within: wait) { reply, now in
      guard case .payment(_, let order, _) = reply, let before = order.payment(id), let payment = now.payment(id)
      else { return true }
      return isMet(before, payment)
    }
    return try order.view(id).orNotFound("payment")
  }
}
