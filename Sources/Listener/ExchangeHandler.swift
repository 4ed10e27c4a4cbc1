import Logging
import NIOCore
import NIOHTTP1

/// The exchanges of one connection, one after the other: a request and its answer. Whoever's turn it is has a limited time,
/// what is read ahead has a bound, and the connection ends when one of both sides wants that.
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  /// Between two looks at the time: each limit may be exceeded by it.
  static let interval = TimeAmount.seconds(2)
  /// How long we wait for a request, and for the next piece of one.
  static let patience = TimeAmount.seconds(10)
  /// How long an answer may be written without any of it being taken.
  static let readerPatience = TimeAmount.seconds(30)
  /// How long the rest of a request is read that was answered already, so that the answer can be read first.
  static let drainTime = TimeAmount.seconds(2)
  /// How much of it.
  static let drainLimit = 16 << 20
  /// How long a client has its turn once the server is stopping.
  static let grace = TimeAmount.seconds(2)
  /// How many pieces of further requests may wait; what comes beyond them is dropped, and the connection ends after them.
  static let queueLimit = 200
  /// What is answered also when there is no place.
  static let health = "/healthz"

  private enum Phase {
    /// For the head of a request.
    case waiting
    /// A request is being answered of which not all is here.
    case receiving
    /// A request is being answered, and all of it is here.
    case answering
    /// The request is answered, and not all of it is here: the rest is thrown away.
    case draining
    /// The last request is answered.
    case closing
  }

  private let table: ConnectionTable
  private let refusal: Listener.Refusal
  private let logger: Logger
  private var connection: Connection?
  private var hasPlace = true
  private var timer: Scheduled<Void>?

  private var phase = Phase.waiting
  /// Of the phase, or the last piece of the request.
  private var since = NIODeadline.distantPast
  private var stoppingSince: NIODeadline?
  /// Whether the connection ends after the exchange under way.
  private var isLast = false
  /// Whether what comes after this request is another protocol, of which we speak none: the decoder keeps it all.
  private var isDeaf = false
  private var isInputClosed = false
  private var version = HTTPVersion.http1_1
  /// Whether the client waits to be told to send the body.
  private var isExpecting = false
  private var drained = 0

  private var queue = CircularBuffer<HTTPServerRequestPart>()
  /// What comes after the queue: nothing that is HTTP.
  private var queuedError: HTTPParserError?
  private var isQueueCut = false
  private var isReadPending = false

  /// What was not taken at the last look, and since when it has not become less.
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
    // Nobody else asks for more of what is thrown away.
    if phase == .draining || phase == .closing { hear(context) }
  }

  private func hear(_ context: ChannelHandlerContext) { if !isDeaf || phase == .receiving { context.read() } }

  /// While a request is answered, the next ones wait in the socket.
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

  /// Throws away what belongs to a request that is answered already.
  private func drain(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
    if case .body(let buffer) = part { drained += buffer.readableBytes }
    if drained > Self.drainLimit { context.close(promise: nil) }
  }

  /// Goes on with what has waited, after an answer.
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

  /// Hands on that this is no HTTP; Hummingbird answers 400.
  private func fail(_ error: HTTPParserError, _ context: ChannelHandlerContext) {
    isLast = true
    enter(.answering, context)
    context.fireErrorCaught(error)
  }

  /// Answers a request for which there is no place.
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

  /// Says how the connection goes on.
  private func frame(_ head: inout HTTPResponseHead) {
    // Whoever was not told to send the body may send it all the same, or the next request.
    isLast = isLast || isExpecting || !head.isKeepAlive
    isExpecting = false
    if version == .http1_0 {
      head.version = version
      // Only the end of the connection tells where it ends.
      isLast = isLast || (head.status.mayHaveResponseBody && !head.headers.contains(name: "content-length"))
      if !isLast { head.headers.replaceOrAdd(name: "connection", value: "keep-alive") }
    }
    if isLast { head.headers.replaceOrAdd(name: "connection", value: "close") }
  }

  /// Ends an exchange.
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

  /// Closes our side once everything is written, and reads on for a moment: who is cut off while sending may never see the
  /// answer.
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
    // A writer that is held up waits for its reader.
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
      // A request that is here is answered. One that will not come whole is an error of the decoder.
      if phase == .waiting || phase == .draining { finish(context) }
    default: context.fireUserInboundEventTriggered(event)
    }
  }

  /// Looks whether somebody's time is over, now and then.
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
    // More can be written only while there is room.
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
  /// Exactly one, of what a host's name and port are written with (RFC 9112, 3.2); HTTP/1.0 knows none.
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
    // Letters may be large.
    return values.count == 1 && values[0].utf8.count == wanted.count
      && zip(values[0].utf8, wanted).allSatisfy { $0 == $1 || $0 | 0x20 == $1 }
  }
}
