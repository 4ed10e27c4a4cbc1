import HTTPTypes
package import Hummingbird
import Logging
import PaymentCore
package import PaymentEngine

/// The outermost middleware. Every answer of the router carries a request id and is logged in one line.
package struct Envelope: RouterMiddleware {
  private let randomness: any Randomness

  package init(randomness: any Randomness) { self.randomness = randomness }

  package func handle(
    _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    let id = Self.acceptable(request.headers[.requestID]) ?? String(randomness.next(), radix: 36)
    var context = context
    context.logger[metadataKey: "hb.request.id"] = "\(id)"
    var response = try await next(request, context)
    // The answer to HEAD must have no body: the client would read it as the next answer.
    if request.method == .head { response = response.createHeadResponse() }
    response.headers[.requestID] = id
    response.headers[.contentTypeOptions] = "nosniff"
    // Without a route the router gives a word instead of a path, or nothing.
    let path = context.endpointPath.flatMap { $0.utf8.first == UInt8(ascii: "/") ? $0 : nil }
    context.logger.log(
      level: response.status == .notModified || context.note.isMinor ? .debug : .info,
      "\(request.method.rawValue) \(path ?? Self.short(request.uri.path))",
      metadata: Self.metadata(context, response, ContinuousClock.now - start))
    return response
  }

  private static func metadata(_ context: WebContext, _ response: Response, _ time: Duration) -> Logger.Metadata {
    var metadata = subject(context, response)
    metadata["status"] = "\(response.status.code)"
    metadata["ms"] = "\(time.wholeMilliseconds)"
    if let code = context.note.code { metadata["code"] = "\(code)" }
    return metadata
  }

  /// An unknown path as the log may show it: at most four parts. A part of more than 20 bytes may be a secret, and is
  /// left out.
  static func short(_ path: String) -> String {
    let parts = path.utf8.prefix(256).split(separator: UInt8(ascii: "/"))
    let shown = parts.prefix(4).map { part -> String in
      let isPlain = part.count <= 20 && part.allSatisfy { (0x21...0x7E).contains($0) }
      return isPlain ? String(decoding: part, as: UTF8.self) : "…"
    }
    return "/" + (shown + (parts.count > 4 ? ["…"] : [])).joined(separator: "/")
  }

  /// The ids of the order, payment or refund in the path, or in the `Location` of the answer. Of a checkout token only
  /// its order is logged.
  private static func subject(_ context: WebContext, _ response: Response) -> Logger.Metadata {
    var metadata: Logger.Metadata = [:]
    let made = response.headers[.location].flatMap { location in
      location.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(location[location.utf8.index(after: $0)...]) }
    }
    for case let id? in [context.parameters.get("id"), made] {
      if let payment = PaymentID(text: id) {
        metadata["payment"] = "\(id)"
        metadata["order"] = "\(payment.order.text)"
      } else if let refund = RefundID(text: id) {
        metadata["refund"] = "\(id)"
        metadata["order"] = "\(refund.order.text)"
      } else if OrderID(text: id) != nil {
        metadata["order"] = "\(id)"
      }
    }
    if let token = context.parameters.get("token").flatMap({ CheckoutToken(text: $0) }) {
      metadata["order"] = "\(token.order.text)"
    }
    return metadata
  }

  /// The caller's own request id. `nil` unless it is 1 to 64 ASCII letters, digits, `-`, `_` and `.`, which a log can
  /// hold.
  private static func acceptable(_ id: String?) -> String? {
    guard let id, (1...64).contains(id.utf8.count),
      id.utf8.allSatisfy({ byte in
        let scalar = UnicodeScalar(byte)
        return scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789-_.".unicodeScalars.contains(scalar))
      })
    else { return nil }
    return id
  }
}
