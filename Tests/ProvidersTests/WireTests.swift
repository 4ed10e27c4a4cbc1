import AsyncHTTPClient
import Glibc
import NIOCore
import NIOHTTP1
import Testing

@testable import Providers

/// What an error proves. Only of what happens before there is a connection can it be said that nothing left.
@Suite struct WireTests {
  private static func isNotSent(_ error: any Error) -> Bool {
    if case .notSent = Wire.outcome(of: error) { true } else { false }
  }

  @Test(arguments: [
    HTTPClientError.connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout, .invalidURL, .emptyHost,
  ])
  func beforeAConnectionNothingLeft(_ error: HTTPClientError) { #expect(Self.isNotSent(error), "\(error)") }

  @Test(arguments: [
    HTTPClientError.readTimeout, .writeTimeout, .deadlineExceeded, .remoteConnectionClosed, .cancelled,
    .uncleanShutdown,
    .bodyLengthMismatch, .requestStreamCancelled, .invalidProxyResponse,
  ])
  func onAConnectionNobodyKnows(_ error: HTTPClientError) {
    guard case .unknown(let reason) = Wire.outcome(of: error) else {
      Issue.record("\(error) is not doubt")
      return
    }
    #expect(!reason.isEmpty)
  }

  @Test(arguments: [
    (ECONNREFUSED, true), (ECONNRESET, false), (EPIPE, false), (ETIMEDOUT, false), (EHOSTUNREACH, false),
    (ENETUNREACH, false), (EBADF, false),
  ])
  func ofTheSystemsErrorsOnlyARefusedConnectionIsProof(_ code: CInt, _ isProof: Bool) {
    #expect(Self.isNotSent(IOError(errnoCode: code, reason: "connect")) == isProof, "errno \(code)")
  }

  @Test func whatIsNewToUsIsDoubt() {
    struct New: Error {}
    for error in [New(), CancellationError(), HTTPParserError.invalidHeaderToken, ChannelError.eof] as [any Error] {
      #expect(!Self.isNotSent(error), "\(error)")
    }
  }
}
