package import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import PaymentCore

/// One HTTP exchange with a provider, and what is certain about its outcome.
package struct Wire: Sendable {
  private let client: HTTPClient
  private let timeout: Duration

  /// - Parameters:
  ///   - client: the one of `Wire.withClient`.
  ///   - timeout: how long the head of the answer may take. The body has only the client's limit between two pieces;
  ///     the dispatcher bounds the whole call.
  package init(client: HTTPClient, timeout: Duration) {
    self.client = client
    self.timeout = timeout
  }

  enum Outcome: Sendable {
    case answer(Answer)
    /// No connection was made, so that no byte of the request left.
    case notSent
    /// Bytes may have left, and no complete answer came back.
    case unknown(String)
  }

  struct Answer: Sendable {
    let status: Int
    let headers: HTTPHeaders
    let body: [UInt8]

    /// How long the provider wants to be left alone: the seconds of its `Retry-After`, within limits that hold whatever it
    /// says. A date there is not read; who knows by which clock it was made?
    var retryAfter: Duration {
      .seconds(min(max(headers.first(name: "retry-after").flatMap { Int64($0) } ?? 5, 1), 3600))
    }
  }

  /// Runs the work with a client that follows no redirects and retries nothing. Only the engine decides about a second
  /// attempt: otherwise "not sent" could be said of the wrong one.
  package static func withClient<Value>(
    connections: Int, work: (HTTPClient) async throws -> Value
  ) async throws -> Value {
    var configuration = HTTPClient.Configuration.singletonConfiguration
    configuration.redirectConfiguration = .disallow
    configuration.httpVersion = .http1Only
    configuration.decompression = .disabled
    configuration.timeout.connect = .seconds(5)
    // The limit between two pieces of an answer. The dispatcher bounds the whole call.
    configuration.timeout.read = .seconds(30)
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
    configuration.connectionPool.idleTimeout = .seconds(30)
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    // The client must be shut down also after an error. Else its own check stops the program and hides the error.
    let result: Result<Value, any Error>
    do { result = .success(try await work(client)) } catch { result = .failure(error) }
    try await client.shutdown()
    return try result.get()
  }

  /// How many bytes of an answer are read.
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
      return .answer(
        Answer(
          status: Int(response.status.code), headers: response.headers, body: Array(answer.readableBytesView)))
    } catch {
      return Self.outcome(of: error)
    }
  }

  /// What an error of the client proves. Only errors from before a connection exists prove that nothing left.
  /// Everything else is doubt, also errors that are new to us.
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
