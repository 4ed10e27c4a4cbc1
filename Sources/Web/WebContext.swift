import Contract
import HTTPTypes
package import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import PaymentCore
import PaymentEngine

/// A request while it is answered.
package struct WebContext: RequestContext {
  package var coreContext: CoreRequestContextStorage
  /// The connection, which can be cut.
  let channel: any Channel

  package init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }

  /// A path parameter as an identity; what cannot be one is not found.
  func id<ID: TextualID>(_ type: ID.Type = ID.self) throws(Refusal) -> ID {
    guard let id = parameters.get("id").flatMap({ ID(text: $0) }) else {
      throw Refusal(.notFound, "There is no such resource.")
    }
    return id
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

extension HTTPField.Name {
  static let prefer = HTTPField.Name("Prefer")!
  static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
  static let idempotencyReplayed = HTTPField.Name("Idempotency-Replayed")!
  static let requestID = HTTPField.Name("X-Request-Id")!
}

/// A problem that ends a request.
struct ProblemError: Error {
  let problem: Problem
  init(_ problem: Problem) { self.problem = problem }
}

extension Response {
  static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
    var headers = headers
    headers[.contentType] = "application/json"
    headers[.cacheControl] = "no-store"
    return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  static func problem(_ problem: Problem) -> Response {
    var headers: HTTPFields = [.contentType: "application/problem+json", .cacheControl: "no-store"]
    if problem.status == 503 { headers[.retryAfter] = "1" }
    if problem.status == 401 { headers[.wwwAuthenticate] = "Bearer realm=\"payonce\"" }
    if problem.status == 408 || problem.status == 413 { headers[.connection] = "close" }
    return Response(
      status: .init(code: problem.status), headers: headers,
      body: .init(byteBuffer: ByteBuffer(bytes: problem.json)))
  }
}
