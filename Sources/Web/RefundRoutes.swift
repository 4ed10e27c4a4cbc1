import Contract
import HTTPTypes
import Hummingbird
import PaymentCore
import PaymentEngine

extension WebServices {
  func addRefunds(to routes: inout Routes, _ keys: KeyRing) {
    routes.on(.post, "/v1/payments/:id/refunds") { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: PaymentID = try context.id()
      let caller = Caller.merchant(merchant)
      let (key, wanted, wait) = try await parsing(about: id.order, payment: id, by: caller) { () throws in
        (try request.idempotencyKey(), try RequestRefund(body: try await request.bytes()), try request.preferredWait())
      }
      let subscription = try engine.changes.subscribe(to: id.order)
      defer { subscription.end() }
      let command = Command.refund(id, key: key, wanted.wanted)
      guard case .refund(let refund, let order, let isRepeat) = try await submit(command, by: caller),
        var now = order.refund(refund)
      else { throw ProblemError(.internalError) }
      if now.status == .processing {
        let later = await subscription.first(within: wait) { $0.refund(refund)?.status != .processing }
        now = later?.refund(refund) ?? now
      }
      var headers: HTTPFields = [.location: "/v1/refunds/\(refund.text)"]
      if isRepeat { headers[.idempotencyReplayed] = "true" }
      return .json(
        rendering.refund(now), status: now.status == .processing ? .accepted : .created, headers: headers)
    }
    routes.on(.get, "/v1/payments/:id/refunds") { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: PaymentID = try context.id()
      let order = try await order(id.order, of: merchant)
      _ = try order.payment(id).orNotFound("payment")
      let refunds = order.refunds.filter { $0.payment == id }
      return .json(rendering.list(refunds, next: nil) { Rendering.refund($0, into: &$1) })
    }
    routes.on(.get, "/v1/refunds/:id") { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: RefundID = try context.id()
      return .json(rendering.refund(try await order(id.order, of: merchant).refund(id).orNotFound("refund")))
    }
  }
}
