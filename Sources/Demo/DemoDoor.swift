import Contract
import HTTPTypes
package import Hummingbird
import PaymentCore
package import Site

/// Who gets into the demo, and how often. Nobody logs in there, what is ordered is written to the store for ever, and its
/// panel breaks the bank's network for all.
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
    // As the router takes a path: slashes too many are none.
    let parts = request.uri.path.utf8.split(separator: UInt8(ascii: "/"))
    guard parts.first?.elementsEqual("demo".utf8) ?? true else { return try await next(request, context) }
    // Under a name of its own that leads here another site's page would be the demo's own to a browser (DNS rebinding).
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

  /// Under which name or address it came here.
  private static func address(_ request: Request) -> WebAddress? {
    request.head.authority.flatMap { WebAddress("http://\($0)") }
  }

  /// A browser says where a request comes from in one way or the other; `Sec-Fetch-Site` not on every address.
  private func isOwnPage(_ request: Request) -> Bool {
    if let site = request.headers[.init("Sec-Fetch-Site")!] { return site == "same-origin" }
    guard let origin = request.headers[.origin] else { return false }
    return origin == publicURL || WebAddress(origin)?.host == Self.address(request)?.host
  }
}
