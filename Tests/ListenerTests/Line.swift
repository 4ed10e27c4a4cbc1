import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1

@testable import Listener

/// A connection whose client, server and time are the test's.
final class Line {
  let channel = EmbeddedChannel()
  let wire = Wire()

  init(_ table: ConnectionTable = ConnectionTable(places: 100)) throws {
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandler(wire)
    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: false)
    let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
    let refusal = Listener.Refusal(status: 503, headers: [("retry-after", "1")], body: Array("full".utf8))
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    try pipeline.addHandler(
      ExchangeHandler(table: table, refusal: refusal, logger: logger), position: .after(decoder))
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
  }

  /// The socket's end of the connection.
  final class Wire: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var isOutputClosed = false
    var reads = 0
    /// How many flushes go through; the client takes no more than these.
    var flushes = Int.max

    func flush(context: ChannelHandlerContext) {
      guard flushes > 0 else { return }
      flushes -= 1
      context.flush()
    }
    func read(context: ChannelHandlerContext) { reads += 1 }
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
      if mode == .all { return context.close(mode: mode, promise: promise) }
      isOutputClosed = true
      promise?.succeed()
    }
  }

  // MARK: The client

  func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

  func get(_ path: String = "/", version: String = "1.1", _ fields: String = "") throws {
    try send("GET \(path) HTTP/\(version)\r\nHost: x\r\n\(fields)\r\n")
  }

  /// What has come since the last look.
  func received() throws -> String {
    var text = ""
    while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
    return text
  }

  /// Of the whole connection, or of our side.
  var isClosed: Bool { !channel.isActive }
  var isEnding: Bool { isClosed || wire.isOutputClosed }

  // MARK: The server

  /// The requests that were handed on since the last look: `GET /a`, then `body 3`, then `end`.
  func requests() throws -> [String] {
    var parts: [String] = []
    while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
      switch part {
      case .head(let head): parts.append("\(head.method) \(head.uri)")
      case .body(let buffer): parts.append("body \(buffer.readableBytes)")
      case .end: parts.append("end")
      }
    }
    return parts
  }

  func answer(_ body: String = "ok", status: HTTPResponseStatus = .ok, _ fields: HTTPHeaders? = nil) {
    let headers = fields ?? ["content-length": "\(body.utf8.count)"]
    let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
    channel.write(HTTPServerResponsePart.head(head), promise: nil)
    channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: body))), promise: nil)
    channel.write(HTTPServerResponsePart.end(nil), promise: nil)
    channel.flush()
  }

  func pass(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }
}
