import NIOCore
import NIOPosix
import Synchronization

/// A server that does to each connection what it is told, below HTTP.
final class ScriptedServer: Sendable {
  enum Move: Sendable {
    /// Sends these bytes, and keeps the connection open.
    case answer(String)
    /// Sends these bytes and hangs up.
    case answerAndHangUp(String)
    /// Ends the connection with a reset.
    case reset
    case silence

    static func json(_ status: String, _ body: String) -> Move {
      .answer(
        "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }
  }

  private let channel: any Channel
  private let requests: Requests
  var url: String { "http://127.0.0.1:\(channel.localAddress!.port!)" }
  /// What arrived, one text per connection.
  var received: [String] { requests.all.withLock { $0 } }

  private final class Requests: Sendable { let all = Mutex<[String]>([]) }

  init(_ move: Move) async throws {
    let requests = Requests()
    self.requests = requests
    channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Handler(move: move, requests: requests))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  func stop() async { try? await channel.close() }

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let move: Move
    private let requests: Requests
    private var text = ""
    private var isAnswered = false

    init(move: Move, requests: Requests) {
      self.move = move
      self.requests = requests
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      text += String(buffer: unwrapInboundIn(data))
      // Whole once the head and a body of its length are there.
      guard !isAnswered, let end = text.firstRange(of: "\r\n\r\n")?.upperBound else { return }
      let length = text.lowercased().firstMatch(of: /content-length: (\d+)/).flatMap { Int($0.1) } ?? 0
      guard text[end...].utf8.count >= length else { return }
      isAnswered = true
      requests.all.withLock { $0.append(text) }
      switch move {
      case .answer(let bytes): context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: bytes)), promise: nil)
      case .answerAndHangUp(let bytes):
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: bytes)), promise: nil)
        context.close(promise: nil)
      case .reset:
        let channel = context.channel
        let now = linger(l_onoff: 1, l_linger: 0)
        (channel as? any SocketOptionProvider)?.setSoLinger(now).whenComplete { _ in channel.close(promise: nil) }
      case .silence: break
      }
    }
  }
}
