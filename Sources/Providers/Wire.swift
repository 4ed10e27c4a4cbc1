package import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import PaymentCore

/// One HTTP exchange with a provider, and what can be said for certain about how it went.
package struct Wire: Sendable {
  private let client: HTTPClient
  private let timeout: Duration

  /// - Parameters:
  ///   - client: that of `Wire.withClient`.
  ///   - timeout: for the whole exchange.
  package init(client: HTTPClient, timeout: Duration) {
    self.client = client
    self.timeout = timeout
  }

  enum Outcome: Sendable {
    case answer(status: Int, body: [UInt8])
    /// No connection was made, so not a byte of the request left.
    case notSent
    /// Bytes may have left, and no whole answer came back.
    case unknown(String)
  }

  /// A client that neither follows redirects nor tries again by itself: a second attempt is decided by the engine, or
  /// "not sent" could be said of the wrong one.
  package static func withClient<Value>(
    connections: Int, work: (HTTPClient) async throws -> Value
  ) async throws -> Value {
    var configuration = HTTPClient.Configuration.singletonConfiguration
    configuration.redirectConfiguration = .disallow
    configuration.httpVersion = .http1Only
    configuration.decompression = .disabled
    configuration.timeout.connect = .seconds(5)
    // Between two pieces of an answer, whose whole time the caller bounds.
    configuration.timeout.read = .seconds(30)
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
    configuration.connectionPool.idleTimeout = .seconds(30)
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    // A client that is let go without this stops the program, and hides the error that led to it.
    let result: Result<Value, any Error>
    do { result = .success(try await work(client)) } catch { result = .failure(error) }
    try await client.shutdown()
    return try result.get()
  }

  /// The largest answer that is read.
  private static let answerLimit = 1 << 20

  func send(_ method: HTTPMethod, _ url: String, headers: [(String, String)] = [], body: [UInt8]? = nil) async
    -> Outcome
  {
    var request = HTTPClientRequest(url: url)
    request.method = method
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    if let body { request.body = .bytes(body) }
    do {
      let response = try await client.execute(request, timeout: .milliseconds(timeout.wholeMilliseconds))
      let answer = try await response.body.collect(upTo: Self.answerLimit)
      return .answer(status: Int(response.status.code), body: Array(answer.readableBytesView))
    } catch {
      return Self.outcome(of: error)
    }
  }

  /// What an error of the client proves. Only what happens before a connection exists proves that nothing left; for
  /// everything else, also what is new to us, the safe answer is doubt.
  static func outcome(of error: any Error) -> Outcome {
    switch error {
    case is NIOConnectionError: return .notSent
    case let error as HTTPClientError:
      let isBefore = [.connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout, .invalidURL, .emptyHost]
        .contains(error)
      return isBefore ? .notSent : .unknown(error.shortDescription)
    case let error as IOError where error.errnoCode == ECONNREFUSED: return .notSent
    case let error as IOError: return .unknown("the connection failed (errno \(error.errnoCode))")
    default: return .unknown("\(type(of: error))")
    }
  }
}
