import Contract
import PaymentCore
import Testing

@testable import Site

@Suite struct FormFieldsTests {
  @Test(arguments: [
    ("a=1&b=2", "1"), ("a=x+y%20z", "x y z"), ("a=%E8%8C%B6", "茶"), ("a=%e8%8c%b6", "茶"), ("b=2&a=%3D%26%25", "=&%"),
    ("a==", "="), ("&&a=1&", "1"), ("a=%", "%"), ("a=%4", "%4"), ("a=%zz", "%zz"), ("%61=1", "1"),
    ("a=e%CC%81", "e\u{301}"),
  ])
  func formsAreRead(_ body: String, _ value: String) throws {
    let form = try FormFields(body: Array(body.utf8))
    #expect(try #require(form["a"]).isExactly(value))
  }

  @Test(arguments: ["", "a", "a=", "A=1", "b=1", "a%00=1", "\u{e5}=1", "a\u{30A}=1"])
  func whatIsNotThereIsNot(_ body: String) throws {
    #expect(try FormFields(body: Array(body.utf8))["a"] == nil)
    #expect(FormFields(query: body)["a"] == nil)
  }

  @Test(arguments: ["a=%FF", "a=%C0%80"])
  func otherFormsAreRefused(_ body: String) {
    #expect(throws: Refusal.self) { try FormFields(body: Array(body.utf8)) }
  }

  @Test(arguments: ["a=1&a=2", "a=1&%61=1", "a=1&b=2&a=1"])
  func whatIsNamedTwiceIsNothing(_ body: String) throws {
    #expect(try FormFields(body: Array(body.utf8))["a"] == nil)
    #expect(FormFields(query: body)["a"] == "1")
  }

  @Test func namesThatOnlyLookEqualAreTwo() throws {
    let form = try FormFields(body: Array("e%CC%81=1&%C3%A9=2".utf8))
    #expect(form["\u{e9}"] == "2" && form["e\u{301}"] == "1")
  }

  @Test func formsAreSmall() throws {
    let body = Array("a=1&b=".utf8) + [UInt8](repeating: 0x78, count: 4090)
    #expect(try FormFields(body: body)["a"] == "1")
    #expect(throws: ProblemError.self) { try FormFields(body: body + [0x78]) }
  }
}
