import Contract
import HTTPTypes
package import Hummingbird
import NIOCore

extension Request {
  /// What a body may be at most, in bytes.
  static let bodyLimit = 65_536

  /// How long a body may take to arrive, beside the connection's own idle time-out.
  private static let bodyTime: Duration = .seconds(15)

  /// The whole body.
  /// - Throws: `ProblemError` when it is too large or too slow.
  package func bytes() async throws -> [UInt8] {
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

  package var isForm: Bool {
    headers[.contentType]?.utf8.starts(with: "application/x-www-form-urlencoded".utf8) ?? false
  }

  /// The body as a form.
  package func form() async throws -> FormFields { try FormFields(body: try await bytes()) }
}
