import FoundationEssentials
import NIOHTTP1
package import PaymentCore
package import PaymentEngine

/// The adapter of the sandbox bank.
package struct SandboxProvider: Provider {
  package let name: ProviderName = Self.name
  package static let name = ProviderName("sandbox")

  private let wire: Wire
  private let bankURL: String
  private let publicURL: String
  private let verifier: StandardWebhookVerifier

  /// The secret that both sides use when neither sets one. It is public, so it is only for a bank that other machines
  /// cannot reach.
  package static let defaultSecret = "whsec_cGF5b25jZS1zYW5kYm94LWJhbmstZXZlcnlib2R5LWtub3dzLWl0"

  /// - Parameters:
  ///   - bankURL: where the bank is, without a slash at the end.
  ///   - publicURL: where buyers and the bank reach PayOnce, without a slash at the end.
  ///   - verifier: holds the secret with which the bank signs its notices.
  package init(wire: Wire, bankURL: String, publicURL: String, verifier: StandardWebhookVerifier) {
    self.wire = wire
    self.bankURL = bankURL
    self.publicURL = publicURL
    self.verifier = verifier
  }

  /// Source: docs/reference/sandbox-bank.md; the bank is ours. It confirms every close of an open charge. Such a charge
  /// can take the money all the same, 2 s later: `late` always does, the others by the fault `late_success`. The sheet
  /// allows a minute.
  package let sheet = CapabilitySheet(
    methods: ["ok", "declined", "action", "qr", "slow", "lost", "late"], createMovesMoney: true, burning: .close,
    finalRejections: ["invalid_charge"],
    lateMoney: ["action": .seconds(60), "qr": .seconds(60), "slow": .seconds(60), "late": .seconds(60)])

  // MARK: Calls

  package func perform(_ call: Call) async -> Evidence {
    if let refund = call.refund { return .refund(await perform(call, refund)) }
    let id = call.tradeNumber.text
    let outcome =
      switch call.kind {
      case .charge: await wire.send(.POST, "\(bankURL)/charges", headers: Self.json, body: create(call))
      case .close: await wire.send(.POST, "\(bankURL)/charges/\(id)/close", headers: Self.json, body: [])
      case .query, .refund, .queryRefund: await wire.send(.GET, "\(bankURL)/charges/\(id)")
      }
    let reading = reading(outcome, call)
    return .payment(
      .init(
        payment: call.payment, provider: name, call: call.number, verdict: reading.verdict,
        capturedAt: reading.capturedAt, returns: reading.returns))
  }

  private static let json = [("content-type", "application/json")]

  // swift-format-ignore: AlwaysUseLowerCamelCase
  private struct CreateCharge: Encodable {
    let id: String
    let amount: Int64
    let currency: String
    let method: String
    let expires_at: String
    let notify_url: String
  }

  private func create(_ call: Call) -> [UInt8] {
    let charge = CreateCharge(
      id: call.tradeNumber.text, amount: call.amount.amount, currency: call.amount.currency.code,
      method: call.method, expires_at: Self.text(call.expiresAt),
      notify_url: "\(publicURL)/providers/\(name.text)/notices")
    // Encoding texts and integers cannot fail.
    return (try? JSONEncoder().encode(charge)).map(Array.init) ?? []
  }

  /// The instant in whole seconds, rounded up: the bank must not close before we do.
  private static func text(_ instant: Instant) -> String {
    Date(timeIntervalSince1970: TimeInterval((instant.milliseconds + 999) / 1000)).formatted(.iso8601)
  }

  // MARK: Answers

  // swift-format-ignore: AlwaysUseLowerCamelCase
  private struct Charge: Decodable {
    let id: String
    let currency: String
    let method: String?
    let status: String
    let amount_captured: Int64?
    let captured_at: String?
    let refunds: [RefundAnswer]?

    /// The moment at which the bank took the money, by the bank's clock.
    var capturedAt: Instant? {
      guard let captured_at,
        let date = try? Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(captured_at)
      else { return nil }
      return Instant(milliseconds: Int64((date.timeIntervalSince1970 * 1000).rounded()))
    }
  }

  /// The content of an answer or of a notice.
  private struct Reading {
    let verdict: PaymentEvidence.Verdict
    var capturedAt: Instant?
    var returns: [PaymentEvidence.Return] = []

    init(_ verdict: PaymentEvidence.Verdict) { self.verdict = verdict }

    init(_ verdict: PaymentEvidence.Verdict, _ charge: Charge) {
      self.verdict = verdict
      capturedAt = charge.capturedAt
      if let currency = Currency(code: charge.currency) {
        returns = (charge.refunds ?? []).map { refund in
          .init(
            reference: refund.id, number: RefundNumber(text: refund.id), amount: Money(refund.amount, currency),
            isDispute: false)
        }
      }
    }
  }
  private struct Refused: Decodable {
    let code: String
    let charge: Charge?
  }

  private func reading(_ outcome: Wire.Outcome, _ call: Call) -> Reading {
    switch outcome {
    case .notSent: return Reading(.notSent)
    case .unknown(let reason): return Reading(.unknown(reason))
    case .answer(let answer) where answer.status == 200:
      guard let charge = Self.decode(Charge.self, answer.body), charge.id == call.tradeNumber.text else {
        return Reading(.unknown("the bank's answer cannot be read"))
      }
      return Reading(verdict(charge), charge)
    case .answer(let answer) where answer.status == 429: return Reading(.notNow(answer.retryAfter))
    case .answer(let answer) where (400..<500).contains(answer.status):
      guard let refused = Self.decode(Refused.self, answer.body) else {
        return Reading(.unknown("the bank answered \(answer.status)"))
      }
      if let charge = refused.charge, charge.id == call.tradeNumber.text, refused.code == "already_paid" {
        return Reading(verdict(charge), charge)
      }
      if answer.status == 404, call.kind == .query { return Reading(.notFound) }
      return Reading(.rejected(Failure(code: refused.code, message: "the bank refused the request")))
    case .answer(let answer): return Reading(.unknown("the bank answered \(answer.status)"))
    }
  }

  private func verdict(_ charge: Charge) -> PaymentEvidence.Verdict {
    switch charge.status {
    case "succeeded":
      guard let amount = charge.amount_captured, let currency = Currency(code: charge.currency) else {
        return .unknown("the bank does not say what it took")
      }
      return .succeeded(Money(amount, currency))
    case "declined": return .failed(Failure(code: "declined", message: "The bank declined the payment."))
    case "closed": return .closed
    case "pending": return .pending(nil)
    case "requires_action":
      let cashier = "\(bankURL)/pay/\(charge.id)"
      return .pending(
        charge.method == "qr"
          ? .qrCode(content: cashier) : .redirect(url: "\(cashier)?back=\(publicURL)/return/\(charge.id)"))
    default: return .unknown("the bank knows a state that we do not")
    }
  }

  private static func decode<Value: Decodable>(_ type: Value.Type, _ body: [UInt8]) -> Value? {
    try? JSONDecoder().decode(type, from: Data(body))
  }

  // MARK: Refunds

  private struct CreateRefund: Encodable {
    let id: String
    let amount: Int64
  }
  private struct RefundAnswer: Decodable {
    let id: String
    let amount: Int64
  }

  private func perform(_ call: Call, _ refund: Call.RefundPart) async -> RefundEvidence {
    let outcome: Wire.Outcome
    if call.kind == .refund {
      let body = try? JSONEncoder().encode(CreateRefund(id: refund.number.text, amount: refund.amount.amount))
      outcome = await wire.send(
        .POST, "\(bankURL)/charges/\(call.tradeNumber.text)/refunds", headers: Self.json, body: body.map(Array.init))
    } else {
      outcome = await wire.send(.GET, "\(bankURL)/refunds/\(refund.number.text)")
    }
    let verdict: RefundEvidence.Verdict =
      switch outcome {
      case .notSent: .notSent
      case .unknown(let reason): .unknown(reason)
      case .answer(let answer) where answer.status == 200: Self.returned(answer.body, refund)
      case .answer(let answer) where answer.status == 429: .notNow(answer.retryAfter)
      case .answer(let answer) where (400..<500).contains(answer.status):
        Self.refused(Self.decode(Refused.self, answer.body), answer.status, call)
      case .answer(let answer): .unknown("the bank answered \(answer.status)")
      }
    return RefundEvidence(refund: refund.id, provider: name, call: call.number, verdict: verdict)
  }

  private static func returned(_ body: [UInt8], _ refund: Call.RefundPart) -> RefundEvidence.Verdict {
    guard let answer = decode(RefundAnswer.self, body), answer.id == refund.number.text else {
      return .unknown("the bank's answer cannot be read")
    }
    return .succeeded(Money(answer.amount, refund.amount.currency))
  }

  private static func refused(_ refused: Refused?, _ status: Int, _ call: Call) -> RefundEvidence.Verdict {
    switch refused?.code {
    case nil: .unknown("the bank answered \(status)")
    case "not_found" where call.kind == .queryRefund: .notFound
    // The bank has a refund of this number with another amount. The next query tells how much went back.
    case "content_mismatch": .unknown("the bank has another refund of this number")
    case let code?: .refused(Failure(code: code, message: "the bank refused the refund"))
    }
  }

  // MARK: Notices

  package func read(_ notice: Notice, now: Instant) -> NoticeReading {
    guard verifier.verifies(headers: notice.headers, body: notice.body, now: now.milliseconds / 1000) else {
      return .unverified
    }
    guard let charge = Self.decode(Charge.self, notice.body), let number = PaymentNumber(text: charge.id) else {
      return .irrelevant
    }
    let reading = Reading(verdict(charge), charge)
    return .evidence(
      .payment(
        .init(
          number: number, provider: name, verdict: reading.verdict, capturedAt: reading.capturedAt,
          returns: reading.returns)))
  }
}
