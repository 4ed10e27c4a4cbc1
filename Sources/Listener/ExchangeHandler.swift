import Logging
import NIOCore
import NIOHTTP1

/// The exchanges of one connection, one after the other: a request and its answer. Each side has a limited time for its
/// turn, what is read ahead is bounded, and the connection ends when either side wants that.
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// The time between two checks. Each of the limits below may be exceeded by it.
  static let interval = TimeAmount.seconds(2)
  /// How long the client may take for a whole head, and for each next piece of the body.
  static let patience = TimeAmount.seconds(10)
  /// How long the client may take nothing of an answer that waits to be sent.
  static let readerPatience = TimeAmount.seconds(30)
  /// How long we read on after an answer, so that a client that is still sending can read it.
  static let drainTime = TimeAmount.seconds(2)
  /// How many bytes of an answered request, or after the last answer, are read and thrown away.
  static let drainLimit = 16 << 20
  /// How long the client's turn may last once the server is stopping.
  static let grace = TimeAmount.seconds(2)
  /// How many pieces of further requests may wait. Further ones are dropped, and the connection ends after those that
  /// wait.
  static let queueLimit = 200
  /// The path that is answered also when there is no place.
  static let health = "/healthz"

  private enum Phase {
    /// Waiting for the head of a request.
    case waiting
    /// Answering a request whose end has not arrived.
    case receiving
    /// Answering a request that has arrived whole.
    case answering
    /// The request is answered before its end has arrived. The rest is thrown away.
    case draining
    /// The last request is answered, and the connection is about to end.
    case closing
  }

  private let table: ConnectionTable
  private let refusal: Listener.Refusal
  private let logger: Logger
  private var connection: Connection?
  private var hasPlace = true
  private var timer: Scheduled<Void>?

  private var phase = Phase.waiting
  /// The moment at which the phase began, the last piece of the body arrived, or bytes of an answer last waited to be
  /// sent.
  private var since = NIODeadline.distantPast
  private var stoppingSince: NIODeadline?
  /// Whether the connection ends after the current exchange.
  private var isLast = false
  /// Whether the client asked for another protocol. The decoder then keeps everything that follows the request, so
  /// nothing more is read once the request has arrived.
  private var isDeaf = false
  private var isInputClosed = false
  private var version = HTTPVersion.http1_1
  /// Whether the client waits for a 100 before it sends the body.
  private var isExpecting = false
  private var drained = 0

  private var queue = CircularBuffer<HTTPServerRequestPart>()
  /// The decoder's error about what follows the queued requests.
  private var queuedError: HTTPParserError?
  private var isQueueCut = false
  private var isReadPending = false

  /// How many bytes waited to be sent at the last check, and since when they have not become fewer.
  private var unwritten = 0
  private var unwrittenSince = NIODeadline.distantPast

  init(table: ConnectionTable, refusal: Listener.Refusal, logger: Logger) {
    self.table = table
    self.refusal = refusal
    self.logger = logger
  }

  func handlerAdded(context: ChannelHandlerContext) {
    since = context.eventLoop.now
    let connection = Connection(context.channel, since: since)
    self.connection = connection
    hasPlace = table.admit(connection)
    look(again: context)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    timer?.cancel()
    if let connection { table.remove(connection) }
    connection = nil
  }

  // MARK: Requests

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch phase {
    case .closing: drain(unwrapInboundIn(data), context)
    case .answering where isQueueCut || queue.count >= Self.queueLimit: isQueueCut = true
    case .answering: queue.append(unwrapInboundIn(data))
    case .waiting, .receiving, .draining: deliver(unwrapInboundIn(data), context)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.fireChannelReadComplete()
    // Nobody else reads on for the sake of what is thrown away.
    if phase == .draining || phase == .closing { hear(context) }
  }

  private func hear(_ context: ChannelHandlerContext) { if !isDeaf || phase == .receiving { context.read() } }

  /// Puts reading off while a request is answered: the next ones wait in the socket.
  func read(context: ChannelHandlerContext) {
    if phase == .answering { isReadPending = true } else { hear(context) }
  }

  private func deliver(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    switch part {
    case .head(let head):
      enter(.receiving, context)
      version = head.version
      isDeaf = head.method == .CONNECT || head.headers.contains(name: "upgrade")
      isLast = isLast || isDeaf || !head.isKeepAlive
      isExpecting = head.version != .http1_0 && head.expectsContinue
      guard head.hasValidHost else { return fail(HTTPParserError.invalidHeaderToken, context) }
      if !hasPlace {
        isLast = true
        guard head.uri.utf8.elementsEqual(Self.health.utf8) else { return refuse(context) }
      }
    case .body:
      if phase == .draining { return drain(part, context) }
      isExpecting = false
      since = context.eventLoop.now
    case .end:
      isExpecting = false
      enter(phase == .draining ? .waiting : .answering, context)
    }
    context.fireChannelRead(wrapInboundOut(part))
  }

  /// Throws away a piece that nobody needs. Closes the connection when there is too much of it.
  private func drain(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    if case .body(let buffer) = part { drained += buffer.readableBytes }
    if drained > Self.drainLimit { context.close(promise: nil) }
  }

  /// Goes on with the queued requests after an answer.
  private func next(_ context: ChannelHandlerContext) {
    while phase != .answering, phase != .closing, let part = queue.popFirst() { deliver(part, context) }
    if phase != .answering, phase != .closing {
      if let error = queuedError { fail(error, context) } else if isQueueCut { return context.close(promise: nil) }
    }
    context.fireChannelReadComplete()
    if phase != .answering, isReadPending {
      isReadPending = false
      context.read()
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
    switch phase {
    case .waiting, .receiving: fail(error, context)
    case .answering: queuedError = error
    case .draining: finish(context)
    case .closing: break
    }
  }

  /// Passes the error on. Hummingbird answers it with 400, and the connection ends.
  private func fail(_ error: HTTPParserError, _ context: ChannelHandlerContext) {
    isLast = true
    enter(.answering, context)
    context.fireErrorCaught(error)
  }

  /// Answers a request for which there is no place, and ends the connection.
  private func refuse(_ context: ChannelHandlerContext) {
    let id = "c" + String(since.uptimeNanoseconds, radix: 36)
    logger.info(
      "a request found every connection in use",
      metadata: ["status": "\(refusal.status.code)", "hb.request.id": "\(id)"])
    var headers = HTTPHeaders(refusal.headers + [("connection", "close"), ("x-request-id", id)])
    headers.add(name: "content-length", value: String(refusal.body.readableBytes))
    let head = HTTPResponseHead(version: .http1_1, status: refusal.status, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(refusal.body))), promise: nil)
    context.write(wrapOutboundOut(.end(nil)), promise: nil)
    finish(context)
  }

  // MARK: Answers

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    guard phase != .closing else {
      promise?.fail(ChannelError.outputClosed)
      return
    }
    switch unwrapOutboundIn(data) {
    case .head(var head):
      frame(&head)
      context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .body: context.write(data, promise: promise)
    case .end:
      context.write(data, promise: promise)
      end(context)
    }
  }

  /// Sets the head's version and `connection` field according to how the connection goes on.
  private func frame(_ head: inout HTTPResponseHead) {
    // A client that was not told to send the body may send it all the same, or the next request. Nobody can tell which.
    isLast = isLast || isExpecting || !head.isKeepAlive
    isExpecting = false
    if version == .http1_0 {
      head.version = version
      // An HTTP/1.0 body without a length ends with the connection.
      isLast = isLast || (head.status.mayHaveResponseBody && !head.headers.contains(name: "content-length"))
      if !isLast { head.headers.replaceOrAdd(name: "connection", value: "keep-alive") }
    }
    if isLast { head.headers.replaceOrAdd(name: "connection", value: "close") }
  }

  private func end(_ context: ChannelHandlerContext) {
    let isEmpty = queue.isEmpty && queuedError == nil
    if isLast || isEmpty && (isInputClosed || isQueueCut) { return finish(context) }
    drained = 0
    if phase == .receiving {
      enter(.draining, context)
      hear(context)
    } else {
      enter(.waiting, context)
      next(context)
    }
  }

  /// Closes our side once everything is written, and reads on for a moment: a client that is cut off while it sends may
  /// never see the answer.
  private func finish(_ context: ChannelHandlerContext) {
    enter(.closing, context)
    queue.removeAll()
    let written = context.eventLoop.makePromise(of: Void.self)
    written.futureResult.assumeIsolated().whenComplete { _ in context.close(mode: .output, promise: nil) }
    context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer()))), promise: written)
    hear(context)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .output else { return context.close(mode: mode, promise: promise) }
    if phase != .closing { finish(context) }
    promise?.succeed()
  }

  func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
    guard event is BodyWanted else { return context.triggerUserOutboundEvent(event, promise: promise) }
    if isExpecting {
      isExpecting = false
      let head = HTTPResponseHead(version: .http1_1, status: .continue)
      context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
    }
    promise?.succeed()
  }

  // MARK: Time

  private func enter(_ phase: Phase, _ context: ChannelHandlerContext) {
    self.phase = phase
    since = context.eventLoop.now
    // An answer that the client does not take is the client's turn.
    connection?.waitingSince = phase == .answering && context.channel.isWritable ? nil : since.uptimeNanoseconds
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if phase == .answering {
      connection?.waitingSince = context.channel.isWritable ? nil : context.eventLoop.now.uptimeNanoseconds
    }
    context.fireChannelWritabilityChanged()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case is GiveWay:
      if connection?.waitingSince != nil {
        context.close(promise: nil)
      } else if let connection {
        table.readmit(connection)
      }
    case is ChannelShouldQuiesceEvent:
      isLast = true
      stoppingSince = context.eventLoop.now
      if phase == .waiting { finish(context) }
    case ChannelEvent.inputClosed:
      isInputClosed = true
      // A request that has arrived whole is still answered. For one that will never be whole the decoder reports an
      // error.
      if phase == .waiting || phase == .draining { finish(context) }
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  /// Checks now and then whether a time limit has passed.
  private func look(again context: ChannelHandlerContext) {
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.interval) { [self] in
      if isOverdue(context) { context.close(promise: nil) } else { look(again: context) }
    }
  }

  private func isOverdue(_ context: ChannelHandlerContext) -> Bool {
    let now = context.eventLoop.now
    let before = unwritten
    unwritten = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    if let stoppingSince, phase != .answering, now - stoppingSince >= Self.grace { return true }
    // While the answer is still being written and there is room for more, the client holds nothing up.
    if unwritten > 0, phase != .answering || !context.channel.isWritable {
      if before == 0 || unwritten < before { unwrittenSince = now }
      since = now
      return now - unwrittenSince >= (stoppingSince == nil ? Self.readerPatience : Self.grace)
    }
    switch phase {
    case .waiting, .receiving: return now - since >= Self.patience
    case .answering: return false
    case .draining, .closing: return now - since >= Self.drainTime
    }
  }
}

extension HTTPRequestHead {
  /// Whether there is exactly one `Host`, made of the characters of a host's name and port (RFC 9112, 3.2). HTTP/1.0
  /// may do without.
  fileprivate var hasValidHost: Bool {
    let hosts = headers["host"]
    guard hosts.count == 1 else { return hosts.isEmpty && version == .http1_0 }
    return hosts[0].utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: Self.hostMarks.contains(byte)
      }
    }
  }
  private static let hostMarks = Array("-._~:[]%!$&'()*+;=".utf8)

  fileprivate var expectsContinue: Bool {
    let values = headers["expect"]
    let wanted = "100-continue".utf8
    // The value is case-insensitive.
    return values.count == 1 && values[0].utf8.count == wanted.count
      && zip(values[0].utf8, wanted).allSatisfy { $0 == $1 || $0 | 0x20 == $1 }
  }
}
