import NIOCore
import NIOEmbedded
import Testing

@testable import Listener

@Suite struct ConnectionTableTests {
  @Test func whoWaitsLongestGivesWay() throws {
    let table = ConnectionTable(places: 3)
    let lines = [try Line(table), try Line(table), try Line(table)]
    // In the order in which their clients have their turn: 1, 2, 0.
    for (line, second) in [(0, 3), (1, 1), (2, 2)] {
      lines[line].pass(Int64(second))
      try lines[line].get()
      lines[line].answer()
    }
    let newest = try Line(table)
    #expect(lines.map(\.isClosed) == [false, true, false])
    newest.pass(4)
    try newest.get()
    newest.answer()
    let another = try Line(table)
    #expect(lines.map(\.isClosed) == [false, true, true])
    #expect(!newest.isClosed && !another.isClosed && table.count == 3)
  }

  @Test func whoIsBeingAnsweredStays() throws {
    let table = ConnectionTable(places: 2)
    let busy = try Line(table)
    try busy.get()
    var idle: [Line] = []
    for _ in 0..<100 { idle.append(try Line(table)) }
    #expect(!busy.isClosed && idle.dropLast().allSatisfy { $0.isClosed } && table.count == 2)
    busy.answer()
    #expect(try busy.received().hasSuffix("ok"))
  }

  /// A slow body, an answer that is not read, a request that was answered early: all of them wait for their client.
  @Test func whoeverKeepsUsWaitingGivesWay() throws {
    for hold in [
      { (line: Line) in try line.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n") },
      { line in
        try line.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        line.answer()
      },
      { line in
        try line.get()
        line.channel.isWritable = false
        line.channel.pipeline.fireChannelWritabilityChanged()
      },
    ] {
      let table = ConnectionTable(places: 1)
      let holder = try Line(table)
      try hold(holder)
      _ = try Line(table)
      #expect(holder.isClosed)
    }
  }

  @Test func whoFindsNoPlaceIsToldSo() throws {
    let table = ConnectionTable(places: 2)
    let busy = [try Line(table), try Line(table)]
    for line in busy { try line.get() }

    let late = try Line(table)
    try late.get("/v1/orders")
    let answer = try late.received()
    #expect(answer.hasPrefix("HTTP/1.1 503"))
    for field in ["retry-after: 1", "connection: close", "x-request-id: ", "content-length: 4"] {
      #expect(answer.contains(field), "\(field)")
    }
    #expect(answer.hasSuffix("full") && late.isEnding)
    #expect(try late.requests() == [])
    late.pass(5)
    #expect(late.isClosed)

    // A machine that looks whether we live must not take us for dead.
    let health = try Line(table)
    try health.get("/healthz")
    #expect(try health.requests() == ["GET /healthz", "end"])
    health.answer()
    #expect(health.isEnding)
    health.pass(5)

    #expect(!busy.contains { $0.isClosed } && table.count == 2)
    busy[0].answer()
    let next = try Line(table)
    try next.get("/v1/orders")
    #expect(try next.requests() == ["GET /v1/orders", "end"])
  }
}
