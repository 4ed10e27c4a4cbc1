import AsyncHTTPClient
import Foundation
import PaymentEngine
import Testing

@testable import PaymentCore
@testable import Providers

@Suite struct SandboxProviderTests {
  static let verifier = StandardWebhookVerifier(secret: SandboxProvider.defaultSecret)!
  static let now = Instant(milliseconds: 1_795_000_000_000)
  static let cny = Currency(code: "CNY")!

  static let numbering = Numbering { bytes in bytes.reduce(7) { $0 &* 257 &+ UInt128($1) } }

  /// A call as the engine makes it: the first of its payment.
  static func call(_ kind: Call.Kind, at now: Instant = now, refund: Refund? = nil) throws -> Call {
    let sandbox = ProviderName("sandbox")
    let sheet = SandboxProvider(
      wire: Wire(client: .shared, timeout: .seconds(1)), bankURL: "", publicURL: "", verifier: verifier
    ).sheet
    let rules = Rules(accounts: [Account(sandbox, sheet)], numbering: numbering)
    let merchant = MerchantID("mer_a")
    let registration = Order.Registration(merchant: merchant, reference: "r", amount: Money(1999, cny), expiresIn: 900)
    let number = numbering.order(registration)
    let id = OrderID(at: now, number: number, random: 1)
    let register = Command.register(registration, number: number, id: id, checkoutSecret: 7)
    let order = decide(nil, register, by: .payOnce, now: now, rules: rules).order
    let pay = Command.pay(id, key: IdempotencyKey("k")!, provider: sandbox, method: nil)
    let paying = try #require(decide(order, pay, by: .payOnce, now: now, rules: rules).order)
    let payment = try #require(paying.payments.first)
    return Call(kind, of: payment, paying.number(of: payment.id), refund: refund, description: nil)
  }

  /// What is proven by how a server behaves.
  static func verdict(
    _ move: ScriptedServer.Move, _ kind: Call.Kind = .charge, timeout: Duration = .seconds(5)
  ) async throws -> (verdict: PaymentEvidence.Verdict, requests: [String]) {
    let server = try await ScriptedServer(move)
    let evidence = try await Wire.withClient(connections: 4) { client in
      let provider = SandboxProvider(
        wire: Wire(client: client, timeout: timeout), bankURL: server.url, publicURL: "http://shop.example",
        verifier: verifier)
      return await provider.perform(try call(kind))
    }
    await server.stop()
    guard case .payment(let evidence) = evidence else { throw CancellationError() }
    #expect(evidence.call == 1 && evidence.provider == SandboxProvider.name)
    return (evidence.verdict, server.received)
  }

  static func charge(_ fields: String) throws -> String {
    #"{"id":"\#(try call(.charge).tradeNumber.text)",\#(fields)}"#
  }

  @Test func aChargeIsAskedForOnce() async throws {
    let paid = try Self.charge(#""currency":"CNY","status":"succeeded","amount_captured":1999,"new_field":[1]"#)
    let (verdict, requests) = try await Self.verdict(.json("200 OK", paid))
    #expect(verdict == .succeeded(Money(1999, Self.cny)))
    let request = try #require(requests.first)
    #expect(requests.count == 1 && request.hasPrefix("POST /charges HTTP/1.1"))
    let body = try #require(request.components(separatedBy: "\r\n\r\n").last)
    let sent = try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
    #expect(sent["id"] as? String == (try Self.call(.charge).tradeNumber.text))
    #expect(sent["amount"] as? Int == 1999 && sent["currency"] as? String == "CNY")
    #expect(sent["expires_at"] as? String == "2026-11-18T11:21:40Z")
    #expect(sent["notify_url"] as? String == "http://shop.example/providers/sandbox/notices")
  }

  @Test(arguments: [
    (#""currency":"CNY","status":"declined""#, "failed"), (#""currency":"CNY","status":"closed""#, "closed"),
    (#""currency":"CNY","status":"pending""#, "pending"), (#""currency":"CNY","status":"requires_action""#, "pending"),
    (#""currency":"USD","status":"succeeded","amount_captured":5"#, "succeeded"),
  ])
  func whatTheBankSaysIsTaken(_ fields: String, _ expected: String) async throws {
    let (verdict, _) = try await Self.verdict(.json("200 OK", Self.charge(fields)))
    #expect("\(verdict)".hasPrefix(expected), "\(verdict)")
  }

  /// Invariant 4: none of these says anything about the money.
  @Test(arguments: [
    ScriptedServer.Move.reset, .silence, .answerAndHangUp(""),
    .answerAndHangUp("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
    .json("500 Internal Server Error", "{}"), .json("502 Bad Gateway", "<html>"), .json("503 Service Unavailable", ""),
    .json("200 OK", "{}"), .json("200 OK", "not JSON"),
    .json("200 OK", #"{"id":"pay_of_another","currency":"CNY","status":"closed"}"#),
    .json("302 Found", "{}"), .json("400 Bad Request", "<html>a proxy</html>"), .answer("nonsense\r\n\r\n"),
  ])
  func doubtIsUnknown(_ move: ScriptedServer.Move) async throws {
    for kind in [Call.Kind.charge, .query, .close] {
      // Long enough for a machine that stands still for a while, where an answer comes.
      let timeout: Duration = if case .silence = move { .seconds(2) } else { .seconds(5) }
      let (verdict, requests) = try await Self.verdict(move, kind, timeout: timeout)
      guard case .unknown = verdict else {
        Issue.record("\(move) of \(kind) is \(verdict)")
        continue
      }
      // Never tried again behind the engine's back.
      #expect(requests.count == 1)
    }
    for fields in [#""currency":"CNY","status":"succeeded""#, #""currency":"CNY","status":"new""#] {
      guard case .unknown = try await Self.verdict(.json("200 OK", Self.charge(fields))).verdict else {
        Issue.record("\(fields) is not doubt")
        continue
      }
    }
  }

  /// What the bank says about when it wants to be asked again, and how long it is left alone.
  @Test(arguments: [
    ("Retry-After: 7\r\n", 7), ("", 5), ("Retry-After: 0\r\n", 1), ("Retry-After: 99999999999999999999\r\n", 5),
    ("Retry-After: 86400\r\n", 3600), ("Retry-After: -5\r\n", 1), ("Retry-After: soon\r\n", 5),
    ("Retry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n", 5),
  ])
  func notNowSaysWhen(_ header: String, _ seconds: Int) async throws {
    let body = #"{"code":"throttled"}"#
    let turnedAway = ScriptedServer.Move.answer(
      "HTTP/1.1 429 Too Many Requests\r\n\(header)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    for kind in [Call.Kind.charge, .query, .close] {
      #expect(try await Self.verdict(turnedAway, kind).verdict == .notNow(.seconds(seconds)))
    }
  }

  @Test func aRefusedConnectionProvesThatNothingLeft() async throws {
    let server = try await ScriptedServer(.silence)
    let url = server.url
    await server.stop()
    let evidence = try await Wire.withClient(connections: 4) { client in
      let provider = SandboxProvider(
        wire: Wire(client: client, timeout: .seconds(5)), bankURL: url, publicURL: "", verifier: Self.verifier)
      return await provider.perform(try Self.call(.charge))
    }
    guard case .payment(let evidence) = evidence else { throw CancellationError() }
    #expect(evidence.verdict == .notSent)
  }

  @Test func refusalsAreToldFromFinds() async throws {
    let paid = try Self.charge(#""currency":"CNY","status":"succeeded","amount_captured":1999"#)
    #expect(
      try await Self.verdict(.json("409 Conflict", #"{"code":"already_paid","charge":\#(paid)}"#), .close).verdict
        == .succeeded(Money(1999, Self.cny)))
    #expect(try await Self.verdict(.json("404 Not Found", #"{"code":"not_found"}"#), .query).verdict == .notFound)
    guard
      case .rejected(let failure) =
        try await Self.verdict(.json("422 Unprocessable", #"{"code":"invalid_charge"}"#)).verdict
    else {
      Issue.record("a 422 is a rejection")
      return
    }
    #expect(failure.code == "invalid_charge")
  }

  /// The fixture was signed by another implementation: the published Python library of Standard Webhooks.
  @Test func signaturesOfOthersAreVerified() throws {
    let secret = "whsec_dGhyb3dhd2F5LXNlY3JldC0yNGJ5dGVz"
    let verifier = try #require(StandardWebhookVerifier(secret: secret))
    let body = Array(
      #"{"type":"payment.succeeded","timestamp":"2026-11-23T06:30:00Z","data":{"payment_id":"pay_1","order_id":"ORDER-0001","amount":1999,"currency":"CNY","status":"succeeded"}}"#
        .utf8)
    let headers = [
      "webhook-id": "msg_1", "webhook-timestamp": "1795415472",
      "webhook-signature": "v1,mBGbGVt2cg8Hk/wD9FEfRUzhCuLdFF0os/9TTl1qm+U=",
    ]
    let time: Int64 = 1_795_415_472
    func verifies(_ changes: [String: String] = [:], without: String? = nil, body: [UInt8] = body, now: Int64 = time)
      -> Bool
    {
      verifier.verifies(
        headers: headers.merging(changes) { $1 }.filter { $0.key != without }, body: body, now: now)
    }
    #expect(verifies())
    #expect(verifies(now: time + 300) && verifies(now: time - 300))
    #expect(verifies(["webhook-signature": "v1,AAAA v1,mBGbGVt2cg8Hk/wD9FEfRUzhCuLdFF0os/9TTl1qm+U="]))
    // A stranger makes it count no more than eight, each of them over the whole body.
    let others = { (count: Int) in String(repeating: "v1,AAAA ", count: count) }
    let right = "v1,mBGbGVt2cg8Hk/wD9FEfRUzhCuLdFF0os/9TTl1qm+U="
    #expect(verifies(["webhook-signature": others(7) + right]))
    #expect(!verifies(["webhook-signature": others(8) + right]))
    #expect(!verifies(now: time + 301) && !verifies(now: time - 301))
    #expect(!verifies(body: body + [0x20]))
    for name in headers.keys { #expect(!verifies(without: name), "without \(name)") }
    #expect(!verifies(["webhook-id": "msg_2"]))
    #expect(!verifies(["webhook-timestamp": "1795415473"]))
    #expect(!verifies(["webhook-timestamp": "soon"]))
    #expect(!verifies(["webhook-timestamp": "9223372036854775807"]))
    #expect(!verifies(["webhook-timestamp": "-9223372036854775808"]))
    #expect(!verifies(["webhook-signature": "v1,"]))
    #expect(!verifies(["webhook-signature": "v1a,mBGbGVt2cg8Hk/wD9FEfRUzhCuLdFF0os/9TTl1qm+U="]))
    for bad in ["", "whsec_", "whsec_AAAA", "dGhyb3dhd2F5LXNlY3JldC0yNGJ5dGVz", "whsec_!!!"] {
      #expect(StandardWebhookVerifier(secret: bad) == nil)
    }
  }
}
