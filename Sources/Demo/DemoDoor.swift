import Contract
import HTTPTypes
package import Hummingbird
import PaymentCore
package import Site

/// Restricts who uses the demo. Nobody logs in there, each order is kept for ever, and its panel changes the bank's
/// network for everybody.
package struct DemoDoor: RouterMiddleware {
  private let publicURL: String
  private let publicHost: String?

  init(publicURL: String) {
    self.publicURL = publicURL
    publicHost = WebAddress(publicURL)?.host
  }

  package func handle(
    _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
  ) async throws -> Response {
    // The router ignores repeated slashes, so this does, too.
    let parts = request.uri.path.utf8.split(separator: UInt8(ascii: "/"))
    guard parts.first?.elementsEqual("demo".utf8) ?? true else { return try await next(request, context) }
    // Another site can make a name of its own lead here (DNS rebinding). To a browser its page would then be the demo's
    // own.
    guard let address = Self.address(request),
      address.isNumeric || address.host == publicHost || address.host == "localhost"
    else {
      throw Refusal(.notFound, "The demo is at \(publicURL)/demo, not under this name.")
    }
    if request.method == .post, parts.last?.elementsEqual("network".utf8) ?? false, !isOwnPage(request) {
      throw Refusal(.invalidRequest, "Only the demo's own pages may change its network.")
    }
    return try await next(request, context)
  }

  /// The name or address under which the request came.
  private static func address(_ request: Request) -> WebAddress? {
    request.head.authority.flatMap { WebAddress("http://\($0)") }
  }

  /// Whether the demo's own page sent the request. Browsers send `Origin` where they leave out `Sec-Fetch-Site`, as
  /// they do for http addresses of other machines.
  private func isOwnPage(_ request: Request) -> Bool {
    if let site = request.headers[.init("Sec-Fetch-Site")!] { return site == "same-origin" }
    guard let origin = request.headers[.origin] else { return false }
    return origin == publicURL || WebAddress(origin)?.host == Self.address(request)?.host
  }
}
