import PaymentCore

/// A JSON text as a tree. Numbers stay as they were written, since `1.0` and `1e2` are not accepted as integers.
package enum JSON: Hashable, Sendable {
  case null
  case bool(Bool)
  case number(String)
  case string(String)
  case array([JSON])
  case object([Member])

  package struct Member: Hashable, Sendable {
    package let name: String
    package let value: JSON

    package func isNamed(_ wanted: String) -> Bool { name.isExactly(wanted) }
  }

  /// The reason why a text is not JSON, and the offset of the byte at which that shows.
  package struct SyntaxError: Error, Hashable, Sendable {
    package let message: String
    package let offset: Int
  }

  /// How deep a value may be nested; the whole text has depth 0.
  package static let maximumDepth = 32

  /// Reads exactly one JSON text (RFC 8259).
  /// - Throws: `SyntaxError` for anything else, also for text after it, for values deeper than `maximumDepth`, and for
  ///   an object that names a member twice: two readers could take different values.
  package init(parsing bytes: some Collection<UInt8>) throws(SyntaxError) {
    var parser = Parser(bytes: Array(bytes))
    self = try parser.document()
  }

  package subscript(name: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.isNamed(name) }?.value
  }

  package var text: String? { if case .string(let text) = self { text } else { nil } }

  package var isNull: Bool { if case .null = self { true } else { false } }

  /// The number as an integer; `nil` unless it is written as one and fits into 64 bits.
  package var integer: Int64? { if case .number(let text) = self { Int64(text) } else { nil } }
}

private struct Parser {
  private let bytes: [UInt8]
  private var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(JSON.SyntaxError) -> JSON {
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw error("there is something behind the JSON text") }
    return value
  }

  private func error(_ message: String) -> JSON.SyntaxError { JSON.SyntaxError(message: message, offset: position) }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSON.SyntaxError) -> JSON {
    guard depth <= JSON.maximumDepth else { throw error("nested deeper than \(JSON.maximumDepth)") }
    skipSpace()
    guard position < bytes.count else { throw error("the JSON text ends too early") }
    switch bytes[position] {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
    default:
      for (word, value) in [("null", JSON.null), ("true", .bool(true)), ("false", .bool(false))]
      where bytes[position...].starts(with: word.utf8) {
        position += word.utf8.count
        return value
      }
      throw error("this is no JSON value")
    }
  }

  private mutating func object(depth: Int) throws(JSON.SyntaxError) -> JSON {
    var members: [JSON.Member] = []
    var names: Set<[UInt8]> = []
    position += 1
    skipSpace()
    if take("}") { return .object([]) }
    repeat {
      skipSpace()
      guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
        throw error("the name of a member is missing")
      }
      let name = try string()
      guard names.insert(Array(name.utf8)).inserted else { throw error("a member is named twice") }
      skipSpace()
      guard take(":") else { throw error("a colon is missing") }
      members.append(JSON.Member(name: name, value: try value(depth: depth + 1)))
      skipSpace()
    } while take(",")
    guard take("}") else { throw error("an object is not closed") }
    return .object(members)
  }

  private mutating func array(depth: Int) throws(JSON.SyntaxError) -> JSON {
    var values: [JSON] = []
    position += 1
    skipSpace()
    if take("]") { return .array([]) }
    repeat {
      values.append(try value(depth: depth + 1))
      skipSpace()
    } while take(",")
    guard take("]") else { throw error("an array is not closed") }
    return .array(values)
  }

  private mutating func digits() -> Int {
    let start = position
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) { position += 1 }
    return position - start
  }

  private mutating func number() throws(JSON.SyntaxError) -> String {
    let start = position
    _ = take("-")
    if take("0") {
      if digits() > 0 { throw error("a number begins with 0") }
    } else if digits() == 0 {
      throw error("a number has no digits")
    }
    if take("."), digits() == 0 { throw error("a number has no digits behind its point") }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      if digits() == 0 { throw error("a number has no exponent") }
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func string() throws(JSON.SyntaxError) -> String {
    var text: [UInt8] = []
    position += 1
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else { throw error("a string is not UTF-8") }
        return string
      case UInt8(ascii: "\\"): text.append(contentsOf: try escape().utf8)
      case 0..<0x20: throw error("a string has a control character")
      default: text.append(byte)
      }
    }
    throw error("a string is not closed")
  }

  private mutating func escape() throws(JSON.SyntaxError) -> String {
    guard position < bytes.count else { throw error("a string is not closed") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return String(UnicodeScalar(byte))
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      let high = try hex()
      if let scalar = UnicodeScalar(high) { return String(scalar) }
      guard (0xD800..<0xDC00).contains(high), take("\\"), take("u") else { throw error("half a surrogate pair") }
      let low = try hex()
      guard (0xDC00..<0xE000).contains(low),
        let scalar = UnicodeScalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
      else { throw error("half a surrogate pair") }
      return String(scalar)
    default: throw error("an unknown escape")
    }
  }

  private mutating func hex() throws(JSON.SyntaxError) -> UInt32 {
    let digits = bytes[position...].prefix(4)
    let isHex = digits.allSatisfy { UnicodeScalar($0).properties.isASCIIHexDigit }
    guard digits.count == 4, isHex, let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16) else {
      throw error("an escape without four hexadecimal digits")
    }
    position += 4
    return value
  }
}
