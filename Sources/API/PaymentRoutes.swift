import Contract
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

struct PaymentRoutes: Sendable {
  let reading: any Reading
  let rendering: Rendering
  let payments: PaymentRequests

  func add(to routes: ShopRoutes) {
    routes.on(.post, "/v1/orders/:id/payments") { request, context, merchant in
      payments.response(try await payments.start(context.id(), request, by: .merchant(merchant)))
    }
    routes.on(.get, "/v1/orders/:id/payments") { _, context, merchant in
      let order = try await reading.order(context.id(), for: .merchant(merchant))
      return .json(rendering.list(order.payments.map(order.view), next: nil) { Rendering.payment($0, into: &$1) })
    }
    routes.on(.get, "/v1/payments/:id", query: ["wait"]) { request, context, merchant in
      let id: PaymentID = try context.id()
      let payment: PaymentView
      if let seconds = try request.queryInteger("wait", in: 0...60), seconds > 0 {
        payment = try await ended(id, by: .merchant(merchant), within: .seconds(seconds))
      } else {
        payment = try await reading.order(id.order, for: .merchant(merchant)).view(id).orNotFound("payment")
      }
      return .json(rendering.payment(payment))
    }
    routes.on(.post, "/v1/payments/:id/check") { request, context, merchant in
      let id: PaymentID = try context.id()
      let wait = try await payments.waitAlone(id, request, by: .merchant(merchant))
      return .json(rendering.payment(try await checked(id, by: .merchant(merchant), within: wait)))
    }
    routes.on(.post, "/v1/payments/:id/close") { request, context, merchant in
      try await payments.close(context.id(), request, by: .merchant(merchant))
    }
  }

  /// Has the provider asked, and waits until the payment has ended.
  /// - Returns: the payment as it is when the wait is over.
  private func ended(_ id: PaymentID, by caller: Caller, within wait: Duration) async throws -> PaymentView {
    try await payments.follow(.check(id), id, by: caller, within: wait) { !$1.isLive }
  }

  /// Has the provider asked, and waits until its answer is here or the payment has ended.
  /// - Returns: the payment as it is when the wait is over.
  private func checked(_ id: PaymentID, by caller: Caller, within wait: Duration) async throws -> PaymentView {
    try await payments.follow(.check(id), id, by: caller, within: wait) { before, payment in
      !payment.isLive || (payment.calls.lease == nil && payment.calls.last != before.calls.last)
    }
  }
}
