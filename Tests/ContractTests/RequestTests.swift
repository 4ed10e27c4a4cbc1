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
      try RegisterOrder(body: body.utf8, merchant: MerchantID("mer_a"))
    }
    #expect(refusal.errors.map(\.field) == [field])
    #expect(refusal.errors[0].message.contains(says), "\(refusal.errors[0].message)")
  }

  /// docs/reference/problems.md names every refusal, with its status, in the order of precedence.
  @Test func everyRefusalIsDocumented() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "docs/reference/problems.md"), encoding: .utf8)
    let rows = text.matches(of: /\| `([a-z_]+)` \| ([0-9]+)/).map { "\($0.1) \($0.2)" }
    let refusals = RefusalCode.allCases.map { "\($0.rawValue) \($0.status)" }
    #expect(Array(rows.prefix(refusals.count)) == refusals)
    let others: [Problem] = [
      .malformed, .methodNotAllowed, .timeout, .tooLarge(limit: 1), .internalError, .clockWrong, .overloaded,
      .unavailable, .eventsArchived(to: 5),
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

/// Text from outside is bytes.
@Suite struct OutsideTextTests {
  private func order(_ members: String) throws -> Order.Registration {
    let body = "{\"reference\":\"r\",\"amount\":1,\"currency\":\"CNY\"" + members + "}"
    return try RegisterOrder(body: body.utf8, merchant: MerchantID("mer_a")).registration
  }

  private func errors(_ members: String) -> [Refusal.FieldError] {
    do { _ = try order(members) } catch let refusal as Refusal { return refusal.errors } catch {}
    return []
  }

  @Test func theKelvinSignIsNoK() {
    #expect("\u{212A}WD" == "KWD", "for Swift they are equal")
    #expect(Currency(code: "KWD") != nil && Currency(code: "\u{212A}WD") == nil)
    let body = #"{"reference":"r","amount":1,"currency":"\u212aWD"}"#
    #expect(throws: Refusal.self) {
      try RegisterOrder(body: body.utf8, merchant: MerchantID("mer_a"))
    }
    #expect(throws: Refusal.self) { try StartPayment(body: #"{"provider":"\u212a"}"#.utf8) }
  }

  @Test func whatOnlyLooksEqualIsNot() throws {
    let twins = try order(#","metadata":{"caf\#u{e9}":"1","cafe\#u{301}":"2"}"#)
    #expect(twins.metadata.all.map { Array($0.name.utf8).count } == [6, 5], "in the order of their bytes")
    #expect(twins.metadata["caf\u{e9}"] == .text("1") && twins.metadata["cafe\u{301}"] == .text("2"))
    #expect(try order(#","metadata":{"a":"\#u{e9}"}"#) != order(#","metadata":{"a":"e\#u{301}"}"#))
    #expect(throws: JSON.SyntaxError.self) { try JSON(parsing: "{\"e\u{301}\":1,\"e\u{301}\":2}".utf8) }
    #expect(errors(#","amoun\#u{301}t":1"#).map(\.field) == ["amoun\u{301}t"])
    #expect(errors(#","late_payment":"\#u{212A}eep""#).map(\.field) == ["late_payment"])
  }

  @Test(arguments: [
    "\\u0000", "\\u001b[31m", "\\n", "\\t", "\\u007f", "\\u0085", "\\u2028", "\\u2029", "\\u202e", "\\u202a", "\\u2066",
    "\\u2069", "\\u200e", "\\u200f", "\\u061c",
  ])
  func harmfulCharactersAreRefused(_ text: String) {
    #expect(errors(",\"description\":\"a\(text)b\"").map(\.field) == ["description"])
    #expect(errors(",\"metadata\":{\"k\":\"a\(text)b\"}").map(\.field) == ["metadata.k"])
    #expect(errors(",\"metadata\":{\"a\(text)b\":\"v\"}").map(\.field) == ["metadata"])
  }

  @Test(arguments: [
    // Persian is spelled with a non-joiner, Malayalam with a joiner; a family and a flag are several characters.
    "می‌خواهم", "ന്‍", "👨‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "שלום", "مرحبا", "e\u{301}", "茉莉花茶", "a\u{ad}b",
  ])
  func whatIsSpelledWithThemIsTaken(_ text: String) throws {
    let order = try order(",\"description\":\"\(text)\",\"metadata\":{\"\(text)\":\"\(text)\"}")
    #expect(order.description.map { Array($0.utf8) } == Array(text.utf8))
    #expect(order.metadata[text] == .text(text))
  }

  @Test func manyErrorsMakeNoLargeAnswer() throws {
    let members = (0..<6000).map { ",\"\u{1}\($0)\"".replacing("\u{1}", with: "\\u0001") + ":0" }.joined()
    let long = ",\"" + String(repeating: "\u{301}", count: 20_000) + "\":0"
    for text in [members, long + members] {
      do {
        _ = try order(text)
        Issue.record("it was taken")
      } catch let refusal as Refusal {
        #expect(refusal.errors.count == 50)
        #expect(refusal.detail.contains("600"))
        #expect(Problem(refusal).json.count < 32_768)
      }
    }
  }

  /// 64 kB of marks cost seconds once, in the order in which they are hardest to sort.
  @Test func marksCostWhatOtherTextCosts() throws {
    let marks = String(repeating: "\u{301}", count: 16_000) + String(repeating: "\u{327}", count: 16_000)
    let plain = String(repeating: "x", count: 64_000)
    let clock = ContinuousClock()
    func time(_ text: String) -> Duration {
      clock.measure {
        for body in ["{\"\(text)\":0}", "{\"metadata\":{\"\(text)\":0}}", "{\"late_payment\":\"\(text)\"}"] {
          _ = try? RegisterOrder(body: body.utf8, merchant: MerchantID("mer_a"))
        }
        _ = try? StartPayment(body: "{\"provider\":\"\(text)\",\"method\":\"\(text)\"}".utf8)
        _ = StartPayment(choice: "sandbox:\(text)")
        _ = try? IdempotencyKey(header: text)
        _ = Currency(code: text)
        _ = WebAddress("https://shop.example/\(text)")
      }
    }
    #expect(time(marks) < time(plain) * 10 + .milliseconds(300))
  }
}

@Suite struct WebAddressTests {
  @Test(
    arguments: [
      ("https://shop.example", "shop.example", nil), ("http://127.0.0.1:8080/", "127.0.0.1", 8080),
      ("https://shop.example/thanks?order=7#top", "shop.example", nil), ("http://[::1]:65535/x", "[::1]", 65_535),
      ("HTTPS://Shop.Example:1", "shop.example", 1), ("https://a-b.c_d.example", "a-b.c_d.example", nil),
      ("https://shop.example/a:b@c", "shop.example", nil),
    ] as [(String, String, Int?)])
  func addressesAreTaken(_ text: String, _ host: String, _ port: Int?) {
    let address = WebAddress(text)
    #expect(address?.host == host && address?.port == port && address?.text == text)
  }

  @Test(arguments: [
    "", "https://", "https:///x", "https://:80", "https://:80/x", "https://[::1", "https://::1", "https://[::1]x/",
    "https://shop.example:0", "https://shop.example:65536", "https://shop.example:99999/x", "https://shop.example:",
    "https://shop.example:80a", "https://shop.example:-1", "https://shop.example: 80", "ftp://shop.example",
    "javascript:alert(1)", "//shop.example", "shop.example", "/thanks", "https:shop.example", "https:/shop.example",
    "https://user@shop.example", "https://user:secret@shop.example", "https://@shop.example",
    "https://shop.example\\@x",
    "https://shöp.example", "https://shop.example/\n", "https://shop.example/ x", "https://shop.example/<x>",
    "https://shop%2eexample/", "https://shop.example%00/", "https://a b/", "https://[v1.x]:1:2/",
    "http://127.0.0.1:18446744073709551617/", "https://" + String(repeating: "a", count: 2048),
  ])
  func whatIsNoneIsRefused(_ text: String) { #expect(WebAddress(text) == nil) }

  @Test func itSaysWhoseItIs() {
    #expect(WebAddress("http://127.0.0.1:8080/")?.base == "http://127.0.0.1:8080")
    #expect(WebAddress("https://pay.example/x")?.base == nil && WebAddress("https://pay.example/?x")?.base == nil)
    #expect(WebAddress("HTTPS://Pay.Example:443/")?.origin == "https://pay.example")
    #expect(WebAddress("http://pay.example:8080")?.origin == "http://pay.example:8080")
    for own in ["http://127.0.0.1", "http://127.9.9.9:80", "http://localhost:1", "http://[::1]:1", "http://LOCALHOST"] {
      #expect(WebAddress(own)?.isLoopback == true)
    }
    for other in ["http://127.0.0.1.example", "http://10.0.0.1", "http://localhost.example", "http://[::2]"] {
      #expect(WebAddress(other)?.isLoopback == false)
    }
  }
}
