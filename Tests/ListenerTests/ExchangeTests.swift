import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import Listener

@Suite struct ExchangeTests {
  private static let slow = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"

  // MARK: Pipelines

  @Test func requestsAreHandedOnOneByOne() throws {
    let line = try Line()
    try line.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    #expect(try line.requests() == ["GET /a", "end"])
    // What comes meanwhile stays in the socket.
    let reads = line.wire.reads
    line.channel.read()
    #expect(line.wire.reads == reads)
    line.answer()
    #expect(try line.requests() == ["POST /b", "body 3", "end"])
    line.answer()
    line.channel.read()
    #expect(line.wire.reads > reads)
    try line.get("/c")
    #expect(try line.requests() == ["GET /c", "end"])
    #expect(!line.isEnding)
  }

  @Test func fewRequestsWait() throws {
    let line = try Line()
    for _ in 0..<100 { try line.send(String(repeating: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", count: 100)) }
    var answered = 0
    while !line.isEnding, answered < 1000 {
      #expect(try line.requests() == ["GET /", "end"])
      line.answer()
      answered += 1
    }
    #expect((50...ExchangeHandler.queueLimit).contains(answered))
  }

  @Test func whatIsNoHTTPIsSaidInItsTurn() throws {
    let line = try Line()
    try line.get("/a")
    #expect(throws: Never.self) { try line.send("nonsense\r\n\r\n") }
    #expect(try line.requests() == ["GET /a", "end"])
    line.answer()
    #expect(throws: HTTPParserError.self) { try line.channel.throwIfErrorCaught() }
  }

  /// The decoder stops there, and would keep whatever comes.
  @Test func nothingIsReadBehindAWishForAnotherProtocol() throws {
    let line = try Line()
    try line.get("/a", "Connection: Upgrade\r\nUpgrade: h2c\r\n")
    #expect(try line.requests() == ["GET /a", "end"])
    line.answer()
    #expect(try line.received().lowercased().contains("connection: close"))
    #expect(line.isEnding)
    let reads = line.wire.reads
    line.channel.read()
    #expect(line.wire.reads == reads)
  }

  // MARK: Early answers

  @Test func whoIsAnsweredEarlyIsCutOff() throws {
    let line = try Line()
    try line.send(Self.slow)
    line.answer(status: .unauthorized)
    #expect(try line.received().hasPrefix("HTTP/1.1 401"))
    #expect(!line.isClosed)
    for _ in 0..<4 where !line.isClosed {
      try line.send(" ")
      line.pass(1)
    }
    #expect(line.isClosed)
    // Nobody is told of what was thrown away.
    #expect(try line.requests() == ["POST /a"])
  }

  @Test func aRequestThatComesWholeAfterItsAnswerEndsNothing() throws {
    let line = try Line()
    try line.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
    line.answer(status: .unauthorized)
    line.pass(1)
    try line.send("abc")
    #expect(try line.requests() == ["POST /a", "end"])
    line.pass(5)
    try line.get("/b")
    #expect(try line.requests() == ["GET /b", "end"])
    #expect(!line.isEnding)
  }

  @Test func aFloodAfterTheAnswerHasAnEnd() throws {
    let line = try Line()
    try line.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
    line.answer(status: .payloadTooLarge, ["content-length": "2", "connection": "close"])
    // Our side is closed at once, so that the client sees that this is all.
    #expect(line.wire.isOutputClosed)
    let piece = String(repeating: "x", count: 1 << 20)
    var sent = 0
    while !line.isClosed, sent < 100 {
      try line.send(piece)
      sent += 1
    }
    #expect((10...20).contains(sent))
  }

  // MARK: Time

  @Test func whoAsksNothingIsLetGo() throws {
    let line = try Line()
    line.pass(9)
    #expect(!line.isClosed)
    try line.get()
    // While we work on it there is no limit of the connection's.
    line.pass(120)
    #expect(!line.isClosed)
    line.answer()
    line.pass(9)
    #expect(!line.isClosed)
    line.pass(4)
    #expect(line.isClosed)
  }

  @Test func aBodyThatStallsIsCutOff() throws {
    let line = try Line()
    try line.send(Self.slow)
    for _ in 0..<5 {
      line.pass(8)
      try line.send(" ")
    }
    #expect(!line.isClosed)
    line.pass(13)
    #expect(line.isClosed)
  }

  @Test(arguments: [true, false]) func aReaderThatDoesNotReadIsLetGo(_ isReading: Bool) throws {
    let line = try Line()
    line.wire.flushes = 0
    try line.get()
    // More than the client takes: whoever writes it is held up, and so are others of this connection.
    line.channel.isWritable = false
    for _ in 0..<10 {
      line.channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: "abc"))), promise: nil)
    }
    for _ in 0..<4 {
      line.pass(10)
      // Some of it is taken, by a slow client.
      if isReading {
        line.wire.flushes = 1
        line.channel.pipeline.syncOperations.flush()
        line.channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: "a"))), promise: nil)
      }
    }
    #expect(line.isClosed == !isReading)
  }

  /// A small answer is written at once, and is waited for all the same until the client has taken it.
  @Test func anAnswerIsNotCutShort() throws {
    let line = try Line()
    line.wire.flushes = 0
    try line.get()
    line.answer()
    line.pass(25)
    #expect(!line.isClosed)
    line.pass(10)
    #expect(line.isClosed)
  }

  // MARK: Who ends the connection

  @Test(arguments: ["close", "Close", "CLOSE", "TE, Close"]) func aClientThatWantsToCloseIsClosed(_ value: String)
    throws
  {
    let line = try Line()
    try line.get("/", "Connection: \(value)\r\n")
    line.answer()
    #expect(try line.received().contains("connection: close"))
    #expect(line.isEnding)
    line.pass(5)
    #expect(line.isClosed)
  }

  @Test func anOldClientIsClosedUnlessItAsksToBeKept() throws {
    let line = try Line()
    try line.get(version: "1.0")
    line.answer()
    #expect(try line.received().contains("connection: close"))
    #expect(line.isEnding)

    let kept = try Line()
    try kept.get(version: "1.0", "Connection: Keep-Alive\r\n")
    kept.answer()
    #expect(try kept.received().contains("connection: keep-alive"))
    #expect(!kept.isEnding)
    // An answer without a length ends with the connection: this client knows no chunks.
    try kept.get(version: "1.0", "Connection: keep-alive\r\n")
    kept.answer("stream", [:])
    let answer = try kept.received()
    #expect(answer.hasSuffix("\r\n\r\nstream") && !answer.contains("chunked"))
    #expect(kept.isEnding)
  }

  @Test func aClientThatHasClosedItsSideIsAnswered() throws {
    let line = try Line()
    try line.get("/a")
    try line.get("/b")
    line.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    line.answer()
    #expect(!line.isEnding)
    line.answer()
    #expect(line.isEnding)
    #expect(try line.requests() == ["GET /a", "end", "GET /b", "end"])
  }

  @Test func theServersEndLeavesNobodyWaiting() throws {
    let (idle, busy, slow) = (try Line(), try Line(), try Line())
    try busy.get()
    try slow.send(Self.slow)
    for line in [idle, busy, slow] { line.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    #expect(idle.isEnding)
    for line in [idle, busy, slow] { line.pass(5) }
    #expect(idle.isClosed && slow.isClosed && !busy.isClosed)
    busy.answer()
    #expect(try busy.received().hasSuffix("ok"))
    #expect(busy.isEnding)
    busy.pass(5)
    #expect(busy.isClosed)
  }

  @Test func theServersEndDoesNotWaitForReaders() throws {
    let line = try Line()
    line.wire.flushes = 0
    try line.get()
    line.answer()
    line.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    line.pass(5)
    #expect(line.isClosed)
  }

  // MARK: Heads

  @Test(arguments: [
    "", "Host: a\r\nHost: b\r\n", "Host: a\r\nhost: a\r\n", "Host: a, b\r\n", "Host: a/b\r\n", "Host: a@b\r\n",
    "Host: a b\r\n", "Host: h\u{F6}st\r\n",
  ])
  func aRequestHasOneHost(_ fields: String) throws {
    let line = try Line()
    #expect(throws: HTTPParserError.self) { try line.send("GET /a HTTP/1.1\r\n\(fields)\r\n") }
    #expect(try line.requests() == [])
  }

  @Test(arguments: [
    "Host: pay.example:8080\r\n", "Host: [::1]:80\r\n", "Host: 127.0.0.1\r\n", "Host:\r\n", "Host: a_b.c\r\n",
  ])
  func hostsAreTaken(_ fields: String) throws {
    let line = try Line()
    try line.send("GET /a HTTP/1.1\r\n\(fields)\r\n")
    #expect(try line.requests() == ["GET /a", "end"])
  }

  @Test func anOldRequestNeedsNoHost() throws {
    let line = try Line()
    try line.send("GET /a HTTP/1.0\r\n\r\n")
    #expect(try line.requests() == ["GET /a", "end"])
  }

  @Test(arguments: ["100-continue", "100-Continue"]) func aBodyIsAskedForWhenItIsWanted(_ value: String) throws {
    let line = try Line()
    try line.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: \(value)\r\n\r\n")
    #expect(try line.received() == "")
    line.channel.triggerUserOutboundEvent(BodyWanted(), promise: nil)
    line.channel.triggerUserOutboundEvent(BodyWanted(), promise: nil)
    #expect(try line.received() == "HTTP/1.1 100 Continue\r\n\r\n")
    try line.send("abc")
    #expect(try line.requests() == ["POST /a", "body 3", "end"])
    line.answer()
    #expect(try line.received().hasPrefix("HTTP/1.1 200"))
    #expect(!line.isEnding)
  }

  @Test func aBodyThatIsNotWantedIsNotAskedFor() throws {
    let line = try Line()
    try line.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    line.answer(status: .unauthorized)
    let answer = try line.received()
    // Nobody can tell whether a body or the next request follows.
    #expect(answer.hasPrefix("HTTP/1.1 401") && answer.contains("connection: close"))
    #expect(line.isEnding)
  }

  @Test func whoDoesNotAskIsNotTold() throws {
    for fields in ["", "Expect: 200-ok\r\n"] {
      let line = try Line()
      try line.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\(fields)\r\n")
      line.channel.triggerUserOutboundEvent(BodyWanted(), promise: nil)
      #expect(try line.received() == "")
    }
    let sending = try Line()
    try sending.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\na")
    sending.channel.triggerUserOutboundEvent(BodyWanted(), promise: nil)
    #expect(try sending.received() == "")
  }
}
