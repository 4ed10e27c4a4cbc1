import NIOCore
import NIOPosix

/// Sends prepared HTTP requests from one thread, over connections that stay open, one request at a time on each.
struct LoadGenerator {
  let port: Int
  let connections: Int

  /// - Parameters:
  ///   - status: every answer must have it.
  ///   - rate: how many requests to send per second, whether or not earlier ones were answered. The time for which a
  ///     request waits for a free connection counts. `nil` sends the next one when the last was answered.
  /// - Throws: when an answer has another status, or a connection ends.
  func run(_ requests: [ByteBuffer], expecting status: Int, perSecond rate: Double? = nil) async throws -> Rate {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let done = loop.makePromise(of: Rate.self)
    let bootstrap = ClientBootstrap(group: group)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    var opened: [any Channel] = []
    for _ in 0..<connections { opened.append(try await bootstrap.connect(host: "127.0.0.1", port: port).get()) }
    let channels = opened
    loop.execute {
      let load = Load(requests: requests, status: status, rate: rate, loop: loop, done: done)
      for channel in channels {
        let connection = Connection(load: load)
        do { try channel.pipeline.syncOperations.addHandler(connection) } catch { done.fail(error) }
        load.add(connection)
      }
      load.begin()
    }
    let result: Result<Rate, any Error>
    do { result = .success(try await done.futureResult.get()) } catch { result = .failure(error) }
    for channel in channels { try? await channel.close() }
    try await group.shutdownGracefully()
    return try result.get()
  }

  /// The state of one run. Only its event loop uses it.
  private final class Load {
    private let requests: [ByteBuffer]
    let status: Int
    private let interval: Int64?
    private let loop: any EventLoop
    private let done: EventLoopPromise<Rate>
    private var next = 0
    private var latencies: [Int64] = []
    private var idle: [Connection] = []
    private var start = NIODeadline.now()
    private var isOver = false

    init(requests: [ByteBuffer], status: Int, rate: Double?, loop: any EventLoop, done: EventLoopPromise<Rate>) {
      self.requests = requests
      self.status = status
      interval = rate.map { Int64(1e9 / $0) }
      self.loop = loop
      self.done = done
      latencies.reserveCapacity(requests.count)
    }

    func add(_ connection: Connection) { idle.append(connection) }

    func begin() {
      start = NIODeadline.now()
      guard interval != nil else {
        let all = idle
        idle = []
        for connection in all { sendNext(on: connection) }
        return
      }
      pace()
    }

    /// Sends what is due, and again every 0.5 ms.
    private func pace() {
      guard !isOver else { return }
      while isDue, let connection = idle.popLast() { sendNext(on: connection) }
      _ = loop.assumeIsolated().scheduleTask(in: .microseconds(500)) { self.pace() }
    }

    private var isDue: Bool {
      next < requests.count && interval.map { start + .nanoseconds(Int64(next) * $0) <= .now() } ?? true
    }

    func sendNext(on connection: Connection) {
      guard isDue else {
        idle.append(connection)
        return
      }
      let wanted = interval.map { start + .nanoseconds(Int64(next) * $0) } ?? .now()
      next += 1
      connection.send(requests[next - 1], wantedAt: wanted)
    }

    func answered(on connection: Connection, wantedAt: NIODeadline) {
      latencies.append((NIODeadline.now() - wantedAt).nanoseconds)
      guard latencies.count < requests.count else {
        isOver = true
        let duration = Duration.nanoseconds((NIODeadline.now() - start).nanoseconds)
        done.succeed(Rate(count: requests.count, in: duration, latencies: latencies))
        return
      }
      sendNext(on: connection)
    }

    func fail(_ message: String) {
      guard !isOver else { return }
      isOver = true
      done.fail(SetupError(message))
    }
  }

  private final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let load: Load
    private var context: ChannelHandlerContext?
    private var received = ByteBuffer()
    private var wantedAt = NIODeadline.now()

    init(load: Load) { self.load = load }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func send(_ request: ByteBuffer, wantedAt: NIODeadline) {
      self.wantedAt = wantedAt
      context?.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      var data = unwrapInboundIn(data)
      received.writeBuffer(&data)
      guard let whole = Self.wholeAnswer(received) else { return }
      guard whole.status == load.status, whole.length == received.readableBytes else {
        load.fail("unexpected answer: \(String(buffer: received).prefix(400))")
        return
      }
      received.clear()
      load.answered(on: self, wantedAt: wantedAt)
    }

    func channelInactive(context: ChannelHandlerContext) { load.fail("the server closed a connection") }

    /// The status and length of an answer; `nil` until all of it is here. It reads byte by byte to be cheap: the
    /// generator shares the cores of the server that it measures.
    private static func wholeAnswer(_ answer: ByteBuffer) -> (status: Int, length: Int)? {
      answer.withUnsafeReadableBytes { bytes in
        // "HTTP/1.1 201 …", then fields, each on a line of its own, then an empty line.
        guard bytes.count > 12 else { return nil }
        let status = Self.number(bytes[9..<12])
        var (line, length) = (0, 0)
        while let end = bytes[line...].firstIndex(of: UInt8(ascii: "\n")) {
          if end - line == 1 {
            let total = end + 1 + length
            return bytes.count >= total ? (status, total) : nil
          }
          if Self.isContentLength(bytes[line..<end]) { length = Self.number(bytes[line + 15..<end]) }
          line = end + 1
        }
        return nil
      }
    }

    private static func isContentLength(_ line: Slice<UnsafeRawBufferPointer>) -> Bool {
      line.count > 15
        && zip(line, "content-length:".utf8).allSatisfy { $0 | 0x20 == $1 || $0 == $1 }
    }

    /// The number that the digits make. Other bytes are ignored.
    private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> Int {
      digits.reduce(0) { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($1) ? $0 * 10 + Int($1 & 15) : $0 }
    }
  }
}
