import Contract
import HTTPTypes
package import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import PaymentCore
import PaymentEngine
import Synchronization

/// A request while it is answered.
package struct WebContext: RequestContext {
  package var coreContext: CoreRequestContextStorage
  let channel: any Channel
  let refusal = NotedRefusal()

  package init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }

  /// A path parameter as an identity; what cannot be one is not found, and where it would be is said.
  func id<ID: TextualID>(_ type: ID.Type = ID.self) throws(Refusal) -> ID {
    let text = parameters.get("id") ?? ""
    guard let id = ID(text: text) else { throw Refusal(.notFound, Self.whereToFind(text, insteadOf: ID.self)) }
    return id
  }

  private static func whereToFind(_ text: String, insteadOf wanted: any TextualID.Type) -> String {
    if OrderID(text: text) != nil {
      return "This is an order's id: see GET /v1/orders/\(text), and its payments under /v1/orders/\(text)/payments."
    }
    if PaymentID(text: text) != nil {
      return "This is a payment's id: see GET /v1/payments/\(text). Its order is named there."
    }
    if RefundID(text: text) != nil {
      return "This is a refund's id: see GET /v1/refunds/\(text). Its payment and its order are named there."
    }
    switch wanted {
    case is OrderID.Type:
      // Repeated only where it can be pasted into an address as it is.
      let isPlain = (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(\.isUnreserved)
      return "This is no order's id: those are ord_ and 26 characters. By your own number an order is found with "
        + "GET /v1/orders?reference=\(isPlain ? text : "…")"
    case is PaymentID.Type: return "This is no payment's id: those are pay_ and 28 characters."
    case is RefundID.Type: return "This is no refund's id: those are ref_ and 28 characters."
    default: return "There is no such resource."
    }
  }
}

/// The code with which a request is refused, for the log: a page says it in words, a redirect not at all.
final class NotedRefusal: Sendable {
  private let noted = Mutex<String?>(nil)

  var code: String? {
    get { noted.withLock { $0 } }
    set { noted.withLock { $0 = newValue } }
  }
}

extension Request {
  /// What a body may be at most, in bytes.
  static let bodyLimit = 65_536

  /// How long a body may take to arrive, beside the connection's own idle time-out.
  private static let bodyTime: Duration = .seconds(15)

  /// The whole body.
  /// - Throws: `Problem` when it is too large or too slow.
  func bytes() async throws -> [UInt8] {
    if let length = headers[.contentLength].flatMap({ Int($0) }), length > Self.bodyLimit {
      throw ProblemError(.tooLarge(limit: Self.bodyLimit))
    }
    let start = ContinuousClock.now
    var bytes: [UInt8] = []
    for try await chunk in body {
      bytes.append(contentsOf: chunk.readableBytesView)
      guard bytes.count <= Self.bodyLimit else { throw ProblemError(.tooLarge(limit: Self.bodyLimit)) }
      guard ContinuousClock.now - start < Self.bodyTime else { throw ProblemError(.timeout) }
    }
    return bytes
  }

  /// A query parameter as an integer.
  func queryInteger(_ name: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64? {
    guard let text = queryText(name) else { return nil }
    guard let value = Int64(text), range.contains(value) else {
      let message = "must be an integer, \(range.lowerBound) to \(range.upperBound)"
      throw Refusal(
        .invalidRequest, "A query parameter is wrong.", errors: [.init(field: name, message: message)])
    }
    return value
  }

  /// Whether a query parameter is there, with a value or without.
  func hasQuery(_ name: String) -> Bool { queryNames.contains { $0.elementsEqual(name.utf8) } }

  /// As they stand there: no name of ours is written in another way.
  private var queryNames: [Substring.UTF8View] {
    (uri.query ?? "")[...].utf8.split(separator: UInt8(ascii: "&")).map { $0.prefix { $0 != UInt8(ascii: "=") } }
  }

  /// What is wrong with the query of a call that knows these parameters alone, each once.
  func refusal(ofQueryBeyond known: [String]) -> Refusal? {
    var errors: [Refusal.FieldError] = []
    var seen: [String] = []
    for name in queryNames {
      let complaint: String
      if let name = known.first(where: { $0.utf8.elementsEqual(name) }) {
        guard seen.contains(name) else {
          seen.append(name)
          continue
        }
        complaint = "must be there once"
      } else {
        complaint =
          "is not a parameter of this call"
          + (known.isEmpty ? ", which has none" : "; there are: " + known.joined(separator: ", "))
      }
      errors.append(.init(field: String(decoding: name.prefix(80), as: UTF8.self), message: complaint))
      // Enough to see what is meant.
      if errors.count == 10 { break }
    }
    guard !errors.isEmpty else { return nil }
    return Refusal(.invalidRequest, "The query of the address has parameters that are wrong.", errors: errors)
  }

  /// The request's own key.
  func idempotencyKey() throws(Refusal) -> IdempotencyKey {
    let values = headers[values: .idempotencyKey]
    guard values.count <= 1 else {
      throw Refusal(.idempotencyKeyInvalid, "Send one Idempotency-Key header, not several.")
    }
    return try IdempotencyKey(header: values.first)
  }

  /// How long the caller wants to wait for an outcome: `Prefer: wait=S` (RFC 7240), 0 to 60 seconds, else 10.
  func preferredWait() throws(Refusal) -> Duration {
    for preference in (headers[.prefer] ?? "").split(separator: ",") {
      let parts = preference.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1)
        .map { $0.filter { !$0.isWhitespace } }
      guard parts.first?.lowercased() == "wait" else { continue }
      guard parts.count == 2, let seconds = Int64(parts[1]), (0...60).contains(seconds) else {
        throw Refusal(
          .invalidRequest, "A header is wrong.",
          errors: [.init(field: "Prefer", message: "wait must be an integer, 0 to 60")])
      }
      return .seconds(seconds)
    }
    return .seconds(10)
  }
}

extension UInt8 {
  /// Whether it stands for itself anywhere in an address (RFC 3986).
  fileprivate var isUnreserved: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
      true
    default: false
    }
  }
}

extension HTTPField.Name {
  static let prefer = HTTPField.Name("Prefer")!
  static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
  static let idempotencyReplayed = HTTPField.Name("Idempotency-Replayed")!
  static let requestID = HTTPField.Name("X-Request-Id")!
  static let contentTypeOptions = HTTPField.Name("X-Content-Type-Options")!
}

/// A problem that ends a request.
struct ProblemError: Error {
  let problem: Problem
  init(_ problem: Problem) { self.problem = problem }
}

extension Response {
  static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
    json(ByteBuffer(bytes: bytes), status: status, headers: headers)
  }

  /// - Parameter body: which may be shared by many.
  static func json(_ body: ByteBuffer, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
    var headers = headers
    headers[.contentType] = "application/json"
    headers[.cacheControl] = "no-store"
    return Response(status: status, headers: headers, body: .init(byteBuffer: body))
  }

  static func problem(_ problem: Problem) -> Response {
    var headers: HTTPFields = [.contentType: "application/problem+json", .cacheControl: "no-store"]
    if problem.status == 503 { headers[.retryAfter] = "1" }
    if let seconds = problem.retryAfter { headers[.retryAfter] = "\(seconds)" }
    if problem.status == 401 { headers[.wwwAuthenticate] = "Bearer realm=\"payonce\"" }
    if problem.status == 408 || problem.status == 413 { headers[.connection] = "close" }
    return Response(
      status: .init(code: problem.status), headers: headers,
      body: .init(byteBuffer: ByteBuffer(bytes: problem.json)))
  }
}
