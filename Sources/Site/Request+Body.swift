import Contract
import HTTPTypes
package import Hummingbird
import NIOCore

extension Request {
  /// How many bytes a body may have.
  static let bodyLimit = 65_536

  /// How long the whole body may take to arrive. The connection has a limit of its own for each piece.
  private static let bodyTime: Duration = .seconds(15)

  /// The whole body.
  /// - Throws: `ProblemError` when it has more than `bodyLimit` bytes, or takes longer than `bodyTime`.
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
  /// - Throws: what `bytes` and `FormFields.init(body:)` throw.
  package func form() async throws -> FormFields { try FormFields(body: try await bytes()) }
}
