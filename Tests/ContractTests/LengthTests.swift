import Contract
import PaymentCore
import Testing

/// How long what a shop sends may be: as much as `openapi.json` says, and no more.
@Suite struct LengthTests {
  /// Which fields of an order are complained of.
  private static func complaints(_ members: String) -> [String] {
    let others = [#""reference":"r""#, #""amount":1"#, #""currency":"CNY""#]
      .filter { !members.hasPrefix($0.prefix { $0 != ":" }) }
    let body = "{" + (others + [members]).joined(separator: ",") + "}"
    return Self.complaints { _ = try RegisterOrder(body: body.utf8, merchant: MerchantID("mer_a")) }
  }

  private static func complaints(_ read: () throws -> Void) -> [String] {
    do { try read() } catch let refusal as Refusal { return refusal.errors.map(\.field) } catch {}
    return []
  }

  private static func text(_ count: Int, of character: String = "x") -> String {
    String(repeating: character, count: count)
  }

  /// Counted in characters, however many bytes they have.
  @Test(arguments: ["x", "茶", "😀"]) func metadataIsBounded(_ character: String) {
    func complaints(name: Int, value: Int) -> [String] {
      Self.complaints(
        #""metadata":{"\#(Self.text(name, of: character))":"\#(Self.text(value, of: character))"}"#)
    }
    #expect(complaints(name: 1, value: 0) == [] && complaints(name: 40, value: 500) == [])
    #expect(complaints(name: 0, value: 1) == ["metadata"])
    #expect(complaints(name: 41, value: 1) == ["metadata"])
    #expect(complaints(name: 4, value: 501) == ["metadata." + Self.text(4, of: character)])
  }

  @Test func metadataIsAFewTexts() {
    func members(_ count: Int) -> String { (0..<count).map { #""\#($0)":"""# }.joined(separator: ",") }
    #expect(Self.complaints(#""metadata":{\#(members(20))}"#) == [])
    #expect(Self.complaints(#""metadata":{\#(members(21))}"#) == ["metadata"])
    #expect(Self.complaints(#""metadata":{}"#) == [])
    for value in ["1", "null", "true", "[]", "{}"] {
      #expect(Self.complaints(#""metadata":{"k":\#(value)}"#) == ["metadata.k"], "\(value)")
    }
    for value in ["1", "[]", #""x""#] { #expect(Self.complaints(#""metadata":\#(value)"#) == ["metadata"], "\(value)") }
  }

  @Test(arguments: [
    ("reference", 64, "x"), ("description", 256, "x"), ("description", 256, "茶"),
  ]) func anOrdersTextsAreBounded(_ field: String, _ most: Int, _ character: String) {
    for (count, isGood) in [(0, false), (1, true), (most, true), (most + 1, false)] {
      let said = Self.complaints(#""\#(field)":"\#(Self.text(count, of: character))""#)
      #expect(said == (isGood ? [] : [field]), "\(count) of \(field)")
    }
  }

  @Test func othersAreToo() {
    for (count, isGood) in [(0, false), (1, true), (32, true), (33, false)] {
      let text = Self.text(count)
      let said = { (isGood: Bool, field: String) in isGood ? [] : [field] }
      #expect(
        Self.complaints { _ = try StartPayment(body: #"{"provider":"\#(text)"}"#.utf8) } == said(isGood, "provider"))
      #expect(
        Self.complaints { _ = try StartPayment(body: #"{"provider":"p","method":"\#(text)"}"#.utf8) }
          == said(isGood, "method"))
      #expect(
        (StartPayment(choice: "\(text):m") != nil) == isGood && (StartPayment(choice: "p:\(text)") != nil) == isGood)
    }
    for (count, isGood) in [(0, false), (256, true), (257, false)] {
      let said = Self.complaints { _ = try RequestRefund(body: #"{"reason":"\#(Self.text(count))"}"#.utf8) }
      #expect(said == (isGood ? [] : ["reason"]))
    }
    for (address, isGood) in [(2048, true), (2049, false)] {
      let url = "https://shop.example/" + Self.text(address - 21)
      #expect(Self.complaints(#""return_url":"\#(url)""#) == (isGood ? [] : ["return_url"]), "\(address)")
    }
  }
}
