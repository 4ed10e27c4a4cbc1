import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOEmbedded
import PaymentCore
import PaymentEngine
import Site
import Synchronization
import Testing

/// Who waits for news gets it when there is some, and is not kept for ever.
@Suite struct WaitTests {
  @Test func waitsHaveBounds() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let order = try await visitor.order("a")
      let payment = try await visitor.pay(order, key: "k")
      #expect(payment["status"] == "succeeded")
      for path in ["/v1/payments/\(payment["id"])", "\(order.checkout)/status"] {
        for (wait, status) in [
          ("0", 200), ("1", 200), ("60", 200), ("61", 400), ("-1", 400), ("86400", 400), ("1.5", 400), ("x", 400),
          ("9223372036854775807", 400), ("99999999999999999999", 400),
        ] {
          let answer = try await visitor.get("\(path)?wait=\(wait)")
          #expect(answer.status == status, "\(path)?wait=\(wait)")
          if status == 400 {
            #expect(answer["errors.0.field"] == "wait" && answer["errors.0.message"].contains("0 to 60"))
          }
        }
      }
      #expect(try await visitor.get("\(order.checkout)/status?wait=1&version=-1").status == 400)
      for path in ["/v1/payments/\(payment["id"])/check", "/v1/payments/\(payment["id"])/close"] {
        for (wait, isGood) in [("0", true), ("60", true), ("61", false), ("-1", false), ("x", false)] {
          let answer = try await visitor.post(path, headers: [.prefer: "wait=\(wait)"])
          #expect((answer.status == 400) == !isGood, "\(path) \(wait): \(answer.status)")
        }
      }
    }
  }

  /// The answer is what the bank says now, and not what was known before.
  @Test func aCheckIsAnsweredWhenTheBankHasAnswered() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let payment = try await Self.payment(house, visitor, "a")
      house.bank.hold()
      // The schedule's own question may be the one under way: it is joined.
      house.clock.skip(.seconds(2))
      async let answer = visitor.post("/v1/payments/\(payment["id"])/check", headers: [.prefer: "wait=60"])
      try await until("a request that waits") { house.waiting == 1 }
      house.bank.answer(queries: .failed(Failure(code: "declined", message: "No.")))
      house.bank.letGo()
      let checked = try await answer
      #expect(checked.status == 200 && checked["status"] == "failed" && checked["failure.code"] == "declined")
    }
  }

  @Test func aBankThatSaysNothingNewIsAnAnswerToo() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let payment = try await Self.payment(house, visitor, "a")
      house.clock.skip(.seconds(2))
      let start = ContinuousClock.now
      let checked = try await visitor.post("/v1/payments/\(payment["id"])/check", headers: [.prefer: "wait=60"])
      #expect(checked["status"] == "requires_action" && ContinuousClock.now - start < .seconds(40))
    }
  }

  @Test func aReadThatWaitsReturnsTheEnd() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let payment = try await Self.payment(house, visitor, "a")
      house.bank.hold()
      house.clock.skip(.seconds(2))
      async let answer = visitor.get("/v1/payments/\(payment["id"])?wait=60")
      try await until("a request that waits") { house.waiting == 1 }
      house.bank.answer(queries: .succeeded(Money(1999, Currency(code: "CNY")!)))
      house.bank.letGo()
      #expect(try await answer["status"] == "succeeded")
    }
  }

  @Test func aPageIsToldOfWhatIsNewerThanWhatItHas() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let order = try await visitor.order("a")
      let version = try await visitor.get("\(order.checkout)/status")["version"]
      let status = "\(order.checkout)/status?wait=60&version="
      // What it does not have is there at once.
      let known = try await visitor.get(status + "0")
      #expect(known["version"] == version && known["status"] == "open")
      async let answer = visitor.get(status + version)
      try await until("a page that waits") { house.waiting == 1 }
      #expect(try await visitor.pay(order, key: "k").status == 201)
      let news = try await answer
      #expect(try #require(Int(news["version"])) > #require(Int(version)))
      #expect(news["last_payment.id"] != "")
    }
  }

  @Test func aPageIsToldWhenNothingIsNew() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let order = try await visitor.order("a")
      let version = try await visitor.get("\(order.checkout)/status")["version"]
      async let answer = visitor.get("\(order.checkout)/status?wait=60&version=\(version)")
      try await until("a page that waits") { house.waiting == 1 }
      house.clock.skip(.seconds(60))
      let same = try await answer
      #expect(same.status == 200 && same["version"] == version)
      #expect(house.waiting == 0)
    }
  }

  /// A page takes a stream for dead that is quiet for 40 s, and a proxy may sooner.
  @Test func aQuietStreamIsHeardOfEvery15Seconds() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let order = try await visitor.order("a")
      let stream = Listener()
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await stream.listen(to: "\(order.checkout)/stream", house) }
        try await until("the first word") { stream.events.count == 1 && house.waiting == 1 }
        for heard in 2...4 {
          house.clock.skip(.seconds(15))
          try await until("a beat") { stream.events.count == heard }
        }
        let first = stream.events[0]
        #expect(first.contains("\"status\":\"open\"") && first.hasPrefix("id: "))
        for event in stream.events {
          #expect(event.split(separator: "\n")[0] == first.split(separator: "\n")[0], "it is the same once more")
        }
        // News is heard at once.
        #expect(try await visitor.pay(order, key: "k").status == 201)
        try await until("the payment") { stream.events.last?.contains("\"status\":\"paid\"") ?? false }
        // And a stream ends, so that a browser opens the next.
        house.clock.skip(.seconds(600))
        try await until("the end of the stream") { house.waiting == 0 }
        try await group.waitForAll()
      }
    }
  }

  /// A payment that waits for its buyer.
  private static func payment(_ house: LivingHouse, _ visitor: Visitor, _ reference: String) async throws -> Answer {
    house.bank.answer(charges: .pending(.redirect(url: "https://bank.example/")))
    house.bank.answer(queries: .pending(nil))
    let payment = try await visitor.pay(try await visitor.order(reference), key: "k")
    try #require(payment["status"] == "requires_action", "\(payment.text)")
    return payment
  }
}

/// Hears a stream's events while they come, as no client of a whole answer does.
private final class Listener: Sendable {
  private let heard = Mutex<[String]>([])
  var events: [String] { heard.withLock { $0 } }

  func listen(to path: String, _ house: LivingHouse) async throws {
    let request = Request(
      head: .init(method: .get, scheme: "http", authority: "localhost", path: path),
      body: .init(buffer: ByteBuffer()))
    let context = WebContext(
      source: .init(channel: NIOAsyncTestingChannel(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
    let response = try await house.router.buildResponder().respond(to: request, context: context)
    #expect(response.status == .ok)
    try await response.body.write(Ear(listener: self))
  }

  private struct Ear: ResponseBodyWriter {
    let listener: Listener
    func write(_ buffer: ByteBuffer) async throws { listener.heard.withLock { $0.append(String(buffer: buffer)) } }
    func finish(_ trailingHeaders: HTTPFields?) async throws {}
  }
}
