import AsyncHTTPClient
import Foundation
import PaymentEngine
import Testing

@testable import PaymentCore
@testable import Providers

/// An answer is believed when it is about what was asked, and says so for certain.
@Suite struct SandboxAnswersTests {
  private typealias Charges = SandboxProviderTests

  private static let another = #"{"id":"pay_of_another","currency":"CNY","status":"succeeded","amount_captured":1999}"#

  /// That it is paid, is proven by this charge alone.
  @Test(arguments: [Call.Kind.charge, .query, .close]) func anotherChargesAnswerIsNotBelieved(_ kind: Call.Kind)
    async throws
  {
    for move in [
      ScriptedServer.Move.json("200 OK", Self.another),
      .json("409 Conflict", #"{"code":"already_paid","charge":\#(Self.another)}"#),
      .json("404 Not Found", #"{"code":"not_found","charge":\#(Self.another)}"#),
      .json("409 Conflict", #"{"code":"already_paid"}"#),
    ] {
      let verdict = try await Charges.verdict(move, kind).verdict
      #expect(verdict.rank == .unknown, "\(move) of \(kind) is \(verdict)")
    }
    // Its own is believed for that one code.
    let own = try Charges.charge(#""currency":"CNY","status":"succeeded","amount_captured":1999"#)
    let paid = try await Charges.verdict(.json("409 Conflict", #"{"code":"already_paid","charge":\#(own)}"#), kind)
      .verdict
    #expect(paid == .succeeded(Money(1999, Charges.cny)))
    let other = try await Charges.verdict(.json("409 Conflict", #"{"code":"content_mismatch","charge":\#(own)}"#), kind)
    #expect(other.verdict.rank == .unknown, "\(other.verdict)")
  }

  /// A server that broke has decided nothing, whatever it says: a code that would be final is not.
  @Test(arguments: ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
  func whatABrokenServerSaysIsDoubt(_ status: String) async throws {
    for code in ["invalid_charge", "declined", "not_found", "already_paid"] {
      let own = try Charges.charge(#""currency":"CNY","status":"declined""#)
      for kind in [Call.Kind.charge, .query, .close] {
        let move = ScriptedServer.Move.json(status, #"{"code":"\#(code)","charge":\#(own)}"#)
        guard case .unknown = try await Charges.verdict(move, kind).verdict else {
          Issue.record("\(status) with \(code) of \(kind) is no doubt")
          continue
        }
      }
      for kind in [Call.Kind.refund, .queryRefund] {
        guard case .unknown = try await Self.verdict(.json(status, #"{"code":"\#(code)"}"#), kind).verdict else {
          Issue.record("\(status) with \(code) of \(kind) is no doubt")
          continue
        }
      }
    }
  }

  /// The bank must not close before we do.
  @Test(
    arguments: [
      (0, "2026-11-18T11:21:40Z"), (1, "2026-11-18T11:21:41Z"), (499, "2026-11-18T11:21:41Z"),
      (500, "2026-11-18T11:21:41Z"), (999, "2026-11-18T11:21:41Z"), (1000, "2026-11-18T11:21:41Z"),
    ] as [(Int64, String)])
  func theDeadlineIsRoundedUp(_ milliseconds: Int64, _ told: String) async throws {
    let later = Charges.now.advanced(by: .milliseconds(milliseconds))
    let (_, requests) = try await Self.perform(try Charges.call(.charge, at: later), at: .silence, timeout: .seconds(1))
    #expect(try #require(requests.first).contains(#""expires_at":"\#(told)""#), "\(requests)")
  }

  // MARK: Refunds

  /// The refund of 99 minor units that the calls are about.
  private static func call(_ kind: Call.Kind) throws -> Call {
    let charge = try Charges.call(.charge)
    let refund = Refund(
      id: RefundID(order: charge.payment.order, ordinal: 1), number: RefundNumber(bits: 5), payment: charge.payment,
      key: IdempotencyKey("r"),
      amount: Money(99, Charges.cny), asked: 99, cause: .requested, reason: nil, createdAt: Charges.now)
    return try Charges.call(kind, refund: refund)
  }

  private static func perform(
    _ call: Call, at move: ScriptedServer.Move, timeout: Duration = .seconds(5)
  ) async throws -> (evidence: Evidence, requests: [String]) {
    let server = try await ScriptedServer(move)
    let evidence = try await Wire.withClient(connections: 4) { client in
      let provider = SandboxProvider(
        wire: Wire(client: client, timeout: timeout), bankURL: server.url, publicURL: "http://shop.example",
        verifier: Charges.verifier)
      return await provider.perform(call)
    }
    await server.stop()
    return (evidence, server.received)
  }

  private static func verdict(
    _ move: ScriptedServer.Move, _ kind: Call.Kind, timeout: Duration = .seconds(5)
  ) async throws -> (verdict: RefundEvidence.Verdict, requests: [String]) {
    let call = try call(kind)
    let (evidence, requests) = try await perform(call, at: move, timeout: timeout)
    guard case .refund(let evidence) = evidence else { throw CancellationError() }
    #expect(evidence.refund == .id(call.refund!.id) && evidence.provider == SandboxProvider.name && evidence.call == 1)
    return (evidence.verdict, requests)
  }

  /// An answer of the bank about this refund.
  private static func answer(_ amount: Int64) throws -> ScriptedServer.Move {
    .json(
      "200 OK", #"{"id":"\#(try call(.refund).refund!.number.text)","amount":\#(amount),"charge":"x","created_at":0}"#)
  }

  @Test func aRefundIsAskedForOnceUnderItsOwnNumber() async throws {
    let call = try Self.call(.refund)
    let (verdict, requests) = try await Self.verdict(Self.answer(99), .refund)
    #expect(verdict == .succeeded(Money(99, Charges.cny)) && requests.count == 1)
    let request = try #require(requests.first)
    #expect(request.hasPrefix("POST /charges/\(call.tradeNumber.text)/refunds HTTP/1.1"))
    let body = try #require(request.components(separatedBy: "\r\n\r\n").last)
    let sent = try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
    #expect(sent["id"] as? String == call.refund?.number.text && sent["amount"] as? Int == 99 && sent.count == 2)

    let (found, questions) = try await Self.verdict(Self.answer(98), .queryRefund)
    #expect(found == .succeeded(Money(98, Charges.cny)), "as much as the bank says")
    #expect(questions.count == 1 && questions[0].hasPrefix("GET /refunds/\(call.refund!.number.text) HTTP/1.1"))
  }

  @Test func refusalsOfARefundAreToldFromFinds() async throws {
    for (kind, status, code, expected) in [
      (Call.Kind.refund, "422 Unprocessable", "exceeds_charge", "refused"),
      (.refund, "409 Conflict", "not_paid", "refused"),
      (.refund, "400 Bad Request", "invalid_refund", "refused"), (.refund, "404 Not Found", "not_found", "refused"),
      (.queryRefund, "404 Not Found", "not_found", "notFound"),
      // It has a refund of this number: that this one was refused is not proven.
      (.refund, "409 Conflict", "content_mismatch", "unknown"),
      (.queryRefund, "409 Conflict", "content_mismatch", "unknown"),
    ] {
      let verdict = try await Self.verdict(.json(status, #"{"code":"\#(code)"}"#), kind).verdict
      #expect("\(verdict)".hasPrefix(expected), "\(code) of \(kind) is \(verdict)")
      if case .refused(let failure) = verdict { #expect(failure.code == code) }
    }
    for kind in [Call.Kind.refund, .queryRefund] {
      let verdict = try await Self.verdict(.json("429 Too Many Requests", #"{"code":"throttled"}"#), kind).verdict
      #expect(verdict == .notNow(.seconds(5)))
    }
  }

  @Test(arguments: [
    ScriptedServer.Move.reset, .silence, .answerAndHangUp("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
    .json("200 OK", "{}"), .json("200 OK", "not JSON"), .json("200 OK", #"{"id":"ref_of_another","amount":99}"#),
    .json("302 Found", "{}"), .json("400 Bad Request", "<html>a proxy</html>"), .json("404 Not Found", "<html>"),
  ])
  func doubtOfARefundIsUnknown(_ move: ScriptedServer.Move) async throws {
    for kind in [Call.Kind.refund, .queryRefund] {
      let timeout: Duration = if case .silence = move { .seconds(2) } else { .seconds(5) }
      let (verdict, requests) = try await Self.verdict(move, kind, timeout: timeout)
      guard case .unknown = verdict else {
        Issue.record("\(move) of \(kind) is \(verdict)")
        continue
      }
      #expect(requests.count == 1)
    }
  }
}
