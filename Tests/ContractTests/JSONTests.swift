import Foundation
import Testing

@testable import Contract

@Suite struct JSONTests {
  @Test(arguments: [
    ("null", JSON.null), (" true ", .bool(true)), ("false", .bool(false)), ("0", .number("0")), ("-0", .number("-0")),
    ("1.0", .number("1.0")), ("1e2", .number("1e2")), ("-12.5E+3", .number("-12.5E+3")), (#""""#, .string("")),
    (#""\u00e9\ud83d\ude00\n\/""#, .string("é😀\n/")), ("\"中\"", .string("中")), ("[]", .array([])),
    ("[1,[2]]", .array([.number("1"), .array([.number("2")])])), ("{}", .object([])),
    (#"{"a":{"a":1}}"#, .object([.init(name: "a", value: .object([.init(name: "a", value: .number("1"))]))])),
  ])
  func whatIsJSONIsRead(_ text: String, _ json: JSON) throws {
    #expect(try JSON(parsing: text.utf8) == json)
  }

  @Test(arguments: [
    "", " ", "nul", "tru", "True", "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "Infinity", "'a'", "\"",
    "\"\\",
    "\"\\x\"", "\"\\u12\"", "\"\\u+123\"", "\"\\ud83d\"", "\"\\ud83d\\u0041\"", "\"\\ude00\"", "\"\n\"", "\"\t\"", "[",
    "[1",
    "[1,]", "[,1]", "[1 2]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}", "{\"a\" 1}",
    "{\"a\":1 \"b\":2}", "1 2",
    "{}x", "// c\n1", "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":2}", "\u{feff}1",
  ])
  func whatIsNotIsRefused(_ text: String) {
    #expect(throws: JSON.SyntaxError.self) { try JSON(parsing: text.utf8) }
  }

  @Test func bytesThatAreNoTextAreRefused() {
    for bytes in [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22]] as [[UInt8]] {
      #expect(throws: JSON.SyntaxError.self) { try JSON(parsing: bytes) }
    }
  }

  @Test func depthIsBounded() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try JSON(parsing: nested(JSON.maximumDepth).utf8)
    #expect(throws: JSON.SyntaxError.self) { try JSON(parsing: nested(JSON.maximumDepth + 2).utf8) }
    #expect(throws: JSON.SyntaxError.self) { try JSON(parsing: nested(1_000_000).utf8) }
  }

  @Test(
    arguments: [
      ("1", 1), ("-1", -1), ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
      ("9223372036854775808", nil), ("1.0", nil), ("1e2", nil), ("1E2", nil), ("\"1\"", nil), ("true", nil),
      ("null", nil),
    ] as [(String, Int64?)])
  func onlyIntegersAreIntegers(_ text: String, _ integer: Int64?) throws {
    #expect(try JSON(parsing: text.utf8).integer == integer)
  }

  /// What Foundation writes, this reader reads; whatever it is fed, it ends.
  @Test func mangledTextNeverTraps() throws {
    let text = Array(#"{"a":[1,-2.5e3,"é\u00e9\ud83d\ude00",null,true,{"b":{}}],"c":"\\\"\n"}"#.utf8)
    var state: UInt64 = 9
    func dice(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    var accepted = 0
    for _ in 0..<20_000 {
      var bytes = text
      for _ in 0..<(1 + dice(3)) {
        switch dice(3) {
        case 0: bytes[dice(bytes.count)] = UInt8(dice(256))
        case 1: bytes.remove(at: dice(bytes.count))
        default: bytes.insert(UInt8(dice(256)), at: dice(bytes.count))
        }
      }
      guard (try? JSON(parsing: bytes)) != nil else { continue }
      accepted += 1
      // Nothing is taken that a general reader would not take.
      #expect((try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil)
    }
    #expect(accepted > 100)
  }
}
