import Contract
import Foundation
import PaymentCore
import Testing

@Suite struct RequestTests {
  @Test(
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (-1, "1969-12-31T23:59:59.999Z"),
      (951_782_400_000, "2000-02-29T00:00:00.000Z"), (951_868_799_999, "2000-02-29T23:59:59.999Z"),
      (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (1_795_483_383_004, "2026-11-24T01:23:03.004Z"),
      (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ] as [(Int64, String)])
  func timesAreRFC3339(_ milliseconds: Int64, _ text: String) {
    #expect(Instant(milliseconds: milliseconds).rfc3339 == text)
  }

  @Test func timesAreWhatFoundationSays() {
    let format = Date.ISO8601FormatStyle(includingFractionalSeconds: false)
    for day in stride(from: Int64(0), to: 60_000, by: 7) {
      let date = Date(timeIntervalSince1970: Double(day * 86_400 + 5))
      let ours = Instant(milliseconds: (day * 86_400 + 5) * 1000).rfc3339
      #expect(ours == format.format(date).replacing("Z", with: ".000Z"))
    }
  }

  @Test(arguments: [
    ("abc", "abc"), ("\"abc\"", "abc"), ("\"a\\\"b\\\\\"", "a\"b\\"), ("a b", "a b"), ("x", "x"),
    (String(repeating: "x", count: 255), String(repeating: "x", count: 255)),
  ])
  func keysAreBareOrQuoted(_ header: String, _ key: String) throws {
    #expect(try IdempotencyKey(header: header).text == key)
  }

  @Test(arguments: [
    "", "\"", "\"\"", "\"abc", "abc\"", "a\"b", "\"a\\x\"", "\"a\\\"", "\"a\"b\"", "é", "\u{7f}", "a\tb",
  ])
  func otherKeysAreRefused(_ header: String) {
    #expect { try IdempotencyKey(header: header) } throws: { ($0 as? Refusal)?.code == .idempotencyKeyInvalid }
  }

  @Test func aMissingKeyIsSaidToBeMissing() {
    #expect { try IdempotencyKey(header: nil) } throws: { ($0 as? Refusal)?.code == .idempotencyKeyMissing }
    #expect(throws: Refusal.self) { try IdempotencyKey(header: String(repeating: "x", count: 256)) }
  }

  @Test func anOrderHasItsDefaults() throws {
    let body = #"{"reference":"r","amount":1,"currency":"JPY","description":null}"#
    let order = try RegisterOrder(body: body.utf8, merchant: MerchantID("mer_a"))
    #expect(
      order.registration
        == Order.Registration(
          merchant: MerchantID("mer_a"), reference: "r", amount: Money(1, Currency(code: "JPY")!), expiresIn: nil))
  }

  /// What is wrong is said in a way that tells a person what would be right.
  @Test(arguments: [
    (#""amount":1000000000000"#, "amount", "must be 1 to 999,999,999,999, in the currency's minor units"),
    (#""amount":99999999999999999999999"#, "amount", "must be 1 to 999,999,999,999"),
    (#""amount":-99999999999999999999999"#, "amount", "must be 1 to 999,999,999,999"),
    (#""amount":19.99"#, "amount", "without quotes, point or exponent: 1 to 999,999,999,999"),
    (#""amount":"1999""#, "amount", "without quotes"),
    (#""currency":"yuan""#, "currency", "an ISO 4217 code in capitals, such as CNY"),
    (#""currency":"¥""#, "currency", "an ISO 4217 code in capitals, such as CNY"),
    (#""currency":"cny""#, "currency", "an ISO 4217 code in capitals, such as CNY"),
    (#""expires_in":5"#, "expires_in", "must be 60 to 2,592,000"),
  ]) func aWrongFieldIsToldWhatIsRight(_ member: String, _ field: String, _ says: String) throws {
    let others = [#""reference":"r""#, #""amount":1"#, #""currency":"JPY""#].filter { !$0.hasPrefix("\"\(field)\"") }
    let body = "{" + (others + [member]).joined(separator: ",") + "}"
    let refusal = try #require(throws: Refusal.self) {
      try RegisterOrder(body: body.utf8, merchant: MerchantID("mer_a"), defaultLife: .seconds(900))
    }
    #expect(refusal.errors.map(\.field) == [field])
    #expect(refusal.errors[0].message.contains(says), "\(refusal.errors[0].message)")
  }

  /// docs/problems.md names every refusal, with its status, in the order of precedence.
  @Test func everyRefusalIsDocumented() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "docs/problems.md"), encoding: .utf8)
    let rows = text.matches(of: /\| `([a-z_]+)` \| ([0-9]+)/).map { "\($0.1) \($0.2)" }
    let refusals = RefusalCode.allCases.map { "\($0.rawValue) \($0.status)" }
    #expect(Array(rows.prefix(refusals.count)) == refusals)
    let others: [Problem] = [
      .malformed, .methodNotAllowed, .timeout, .tooLarge(limit: 1), .internalError, .overloaded, .unavailable,
    ]
    #expect(Set(rows.dropFirst(refusals.count)) == Set(others.map { "\($0.code) \($0.status)" }))
  }

  @Test func everyRefusalHasAStatusOfItsKind() {
    for code in RefusalCode.allCases {
      #expect((400..<500).contains(code.status))
      #expect(!code.title.isEmpty)
    }
    #expect(Set(RefusalCode.allCases.map(\.title)).count == RefusalCode.allCases.count)
  }
}
