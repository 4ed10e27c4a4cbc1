import Crypto
import HTTPTypes
package import Hummingbird
import NIOCore

/// A script, style or picture of the pages. Those of the program itself are compiled in, so that it runs alone from any
/// folder.
package struct PageAsset: Sendable {
  package let path: String
  private let type: String
  /// One buffer for all answers; it is not copied.
  private let body: ByteBuffer

  /// Whether the pages of every site may load it.
  private let isPublic: Bool
  /// The entity tag. A browser that sends it back gets 304 instead of the bytes.
  private let tag: String

  package init(_ path: String, _ type: String, _ bytes: [UInt8], isPublic: Bool = false) {
    self.path = path
    self.type = type
    body = ByteBuffer(bytes: bytes)
    self.isPublic = isPublic
    tag = "\"" + SHA256.hash(data: bytes).prefix(16).map { String($0, radix: 16) }.joined() + "\""
  }

  package func response(_ request: Request) -> Response {
    var headers: HTTPFields = [.contentType: type, .cacheControl: "no-cache", .eTag: tag]
    if isPublic {
      headers[.accessControlAllowOrigin] = "*"
      headers[.init("Cross-Origin-Resource-Policy")!] = "cross-origin"
    }
    if request.headers[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
    return Response(status: .ok, headers: headers, body: .init(byteBuffer: body))
  }
}
