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

  @Test func everyRefusalHasAStatusOfItsKind() {
    for code in RefusalCode.allCases {
      #expect((400..<500).contains(code.status))
      #expect(!code.title.isEmpty)
    }
    #expect(Set(RefusalCode.allCases.map(\.title)).count == RefusalCode.allCases.count)
  }
}
