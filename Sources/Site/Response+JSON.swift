import Contract
package import HTTPTypes
package import Hummingbird
package import NIOCore

extension Response {
  package static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response {
    json(ByteBuffer(bytes: bytes), status: status, headers: headers)
  }

  /// - Parameter body: may be shared by many answers.
  package static func json(_ body: ByteBuffer, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) -> Response
  {
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
