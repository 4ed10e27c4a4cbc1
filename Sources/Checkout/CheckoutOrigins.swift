import HTTPTypes
package import Hummingbird
import PaymentCore
import PaymentEngine
package import Site

/// Allows pages of other origins to use the checkout from a browser (CORS): exactly the origins that the order's
/// merchant allows. It is outside of `Problems`, so that those pages can read refusals, too.
package struct CheckoutOrigins: RouterMiddleware {
  let orders: BuyerOrders
  let directory: any Directory
  /// The origin of our own pages, which needs no permission.
  let own: String

  package func handle(
    _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
  ) async throws -> Response {
    let parts = request.uri.path.split(separator: "/")
    guard let origin = request.headers[.origin], origin != own, parts.count > 2, parts[0] == "checkout",
      let token = CheckoutToken(text: String(parts[1]))
    else { return try await next(request, context) }
    let isAllowed = (try? await merchant(of: token))?.origins.contains(origin) ?? false
    var response: Response
    if request.method == .options {
      response = Response(status: .noContent)
      if isAllowed {
        response.headers[.accessControlAllowMethods] = "GET, POST"
        response.headers[.accessControlAllowHeaders] = "Content-Type, Idempotency-Key, Prefer"
        response.headers[.accessControlMaxAge] = "600"
      }
    } else {
      response = try await next(request, context)
    }
    // A cache must not give the answer for one origin to another.
    response.headers[.vary] = "Origin"
    if isAllowed {
      response.headers[.accessControlAllowOrigin] = origin
      response.headers[.init("Access-Control-Expose-Headers")!] = "Idempotency-Replayed, Retry-After, X-Request-Id"
    }
    return response
  }

  private func merchant(of token: CheckoutToken) async throws -> Merchant? {
    guard let order = try await orders.order(behind: token) else { return nil }
    return try await directory.merchant(order.registration.merchant)
  }
}
