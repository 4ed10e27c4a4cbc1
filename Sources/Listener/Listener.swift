import HTTPTypes
package import HummingbirdCore
package import Logging
import NIOCore
import NIOHTTP1

/// How the gate and the sandbox bank treat connections: Hummingbird's HTTP/1, with bounds on everything that a client
/// can hold on to.
package struct Listener: Sendable {
  /// The answer to a request that comes while every place is taken by another one that is being answered.
  package struct Refusal: Sendable {
    let status: HTTPResponseStatus
    let headers: [(String, String)]
    let body: ByteBuffer

    package init(status: Int, headers: [(String, String)], body: [UInt8]) {
      self.status = HTTPResponseStatus(statusCode: status)
      self.headers = headers
      self.body = ByteBuffer(bytes: body)
    }
  }

  let places: Int
  let refusal: Refusal

  /// How many connections beside `places` may be open for a moment, until others have given way.
  package static let margin = 16

  /// - Parameters:
  ///   - places: how many connections may be open. One more makes those end that have waited longest for their client.
  ///   - refusal: the answer to a request for which there is no place. `/healthz` is answered all the same.
  package init(places: Int, refusal: Refusal) {
    self.places = places
    self.refusal = refusal
  }

  /// Bounds the connections that are accepted at all: `places` and the margin.
  package func acceptance(_ logger: Logger) -> any AvailableConnectionsDelegate {
    MaximumAvailableConnections(places + Self.margin, logger: logger)
  }

  package var server: HTTPServerBuilder {
    HTTPServerBuilder { responder in
      ListenerChannel(
        http: HTTP1Channel(responder: Self.wanting(responder), configuration: Self.http),
        table: ConnectionTable(places: places), refusal: refusal)
    }
  }

  /// A request's head has at most 32 kB, 100 fields, and 16 kB in a field. Time-outs are in `ExchangeHandler`.
  private static let http = HTTP1Channel.Configuration(
    additionalChannelHandlers: [PlainHeads()],
    httpDecoderConfiguration: .init(maxHeaderFieldSize: 16_384, maxHeaderListSize: 32_768, maxHeaderFieldCount: 100))

  /// Tells the connection when the request's body is read. A client that sent `Expect: 100-continue` gets the 100 only
  /// then.
  private static func wanting(
    _ responder: @escaping HTTPChannelHandler.Responder
  ) -> HTTPChannelHandler.Responder {
    { request, writer, channel in
      var request = request
      if request.headers[.expect] != nil {
        request.body = RequestBody(asyncSequence: WantedBody(body: request.body, channel: channel))
      }
      try await responder(request, writer, channel)
    }
  }
}

/// Tells a connection that the body of the request under way is being read.
struct BodyWanted: Sendable {}

/// A body that sends `BodyWanted` before its first piece is read.
private struct WantedBody: AsyncSequence, Sendable {
  let body: RequestBody
  let channel: any Channel

  struct AsyncIterator: AsyncIteratorProtocol {
    var body: RequestBody.AsyncIterator
    var channel: (any Channel)?

    mutating func next() async throws -> ByteBuffer? {
      channel?.triggerUserOutboundEvent(BodyWanted(), promise: nil)
      channel = nil
      return try await body.next()
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(body: body.makeAsyncIterator(), channel: channel) }
}

private struct ListenerChannel: ServerChildChannel {
  let http: HTTP1Channel
  let table: ConnectionTable
  let refusal: Listener.Refusal

  func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
    http.setup(channel: channel, logger: logger).flatMapThrowing { value in
      // Whatever one read brings is decoded at once. Reads are small, so that few requests can queue up in a
      // connection.
      try channel.syncOptions?.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096))
      try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
      let pipeline = channel.pipeline.syncOperations
      let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
      let exchanges = ExchangeHandler(table: table, refusal: refusal, logger: logger)
      try pipeline.addHandler(exchanges, position: .after(decoder))
      return value
    }
  }

  func handle(value: HTTP1Channel.Value, logger: Logger) async { await http.handle(value: value, logger: logger) }
}
