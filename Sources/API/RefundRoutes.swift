import Contract
import HTTPTypes
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

struct RefundRoutes: Sendable {
  let engine: Engine
  let reading: any Reading
  let rendering: Rendering

  func add(to routes: ShopRoutes) {
    routes.on(.post, "/v1/payments/:id/refunds") { request, context, merchant in
      let id: PaymentID = try context.id()
      let caller = Caller.merchant(merchant)
      let (key, wanted, wait) = try await reading.parsing(about: id.order, payment: id, by: caller) { () throws in
        (try request.idempotencyKey(), try RequestRefund(body: try await request.bytes()), try request.preferredWait())
      }
      let command = Command.refund(id, key: key, wanted.wanted)
      let (reply, order) = try await engine.journal.perform(command, by: caller, within: wait) { reply, now in
        if case .refund(let id, _, _) = reply { now.refund(id)?.status != .processing } else { true }
      }
      guard case .refund(let made, _, let isRepeat) = reply, let refund = order.refund(made) else {
        throw ProblemError(.internalError)
      }
      var headers: HTTPFields = [.location: "/v1/refunds/\(made.text)"]
      if isRepeat { headers[.idempotencyReplayed] = "true" }
      return .json(
        rendering.refund(refund), status: refund.status == .processing ? .accepted : .created, headers: headers)
    }
    routes.on(.get, "/v1/payments/:id/refunds") { _, context, merchant in
      let id: PaymentID = try context.id()
      let order = try await reading.order(id.order, for: .merchant(merchant))
      _ = try order.payment(id).orNotFound("payment")
      let refunds = order.refunds.filter { $0.payment == id }
      return .json(rendering.list(refunds, next: nil) { Rendering.refund($0, into: &$1) })
    }
    routes.on(.get, "/v1/refunds/:id") { _, context, merchant in
      let id: RefundID = try context.id()
      let order = try await reading.order(id.order, for: .merchant(merchant))
      return .json(rendering.refund(try order.refund(id).orNotFound("refund")))
    }
  }
}
