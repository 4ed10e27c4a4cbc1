import HTTPTypes
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

/// Routes that need a shop's API key. The handler gets the merchant as an argument, so that no route can forget to
/// check the key.
struct ShopRoutes {
  typealias Handler = @Sendable (Request, WebContext, MerchantID) async throws -> Response

  let routes: Routes
  let keys: KeyRing
  let reading: any Reading

  /// - Parameter query: the parameters that the call knows. Others are refused.
  func on(
    _ method: HTTPRequest.Method, _ path: String, query: [String] = [], _ handler: @escaping Handler
  ) {
    let admit: Routes.Admission = { [keys, reading] request, context in
      try await Self.admit(context, of: try await keys.merchant(of: request), reading)
    }
    routes.on(method, path, query: query, admit: admit) { [keys] request, context in
      try await handler(request, context, try await keys.merchant(of: request))
    }
  }

  /// Throws `not_found` when the path's id names nothing of this merchant's.
  private static func admit(_ context: WebContext, of merchant: MerchantID, _ reading: any Reading) async throws {
    guard let path = context.endpointPath, context.parameters.get("id") != nil else { return }
    let caller = Caller.merchant(merchant)
    if path.hasPrefix("/v1/payments") {
      let id: PaymentID = try context.id()
      _ = try await reading.order(id.order, for: caller).payment(id).orNotFound("payment")
    } else if path.hasPrefix("/v1/refunds") {
      let id: RefundID = try context.id()
      _ = try await reading.order(id.order, for: caller).refund(id).orNotFound("refund")
    } else {
      _ = try await reading.order(context.id(), for: caller)
    }
  }
}
