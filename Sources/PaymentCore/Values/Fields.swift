/// A small flat record with an order: what an event says, what a shop attaches to an order. Its `text` is a JSON object
/// of texts and integers, so that a person or a database can read what a store keeps.
package struct Fields: Hashable, Sendable {
  package enum Value: Hashable, Sendable {
    case text(String)
    case integer(Int64)
    case null
  }
  package struct Field: Hashable, Sendable {
    package let name: String
    package let value: Value
  }

  package private(set) var all: [Field] = []

  package init() {}

  package init(_ pairs: KeyValuePairs<String, Value>) { for (name, value) in pairs { append(name, value) } }

  package mutating func append(_ name: String, _ value: Value) { all.append(Field(name: name, value: value)) }

  package mutating func append(_ name: String, _ value: String?) { append(name, value.map(Value.text) ?? .null) }

  /// What a provider said of its refusal.
  mutating func append(_ failure: Failure) {
    append("code", failure.code)
    append("message", failure.message)
  }

  package subscript(name: String) -> Value? { all.first { $0.name.isExactly(name) }?.value }
}

extension Fields.Value {
  package static func == (left: Self, right: Self) -> Bool {
    switch (left, right) {
    case (.text(let left), .text(let right)): left.isExactly(right)
    case (.integer(let left), .integer(let right)): left == right
    case (.null, .null): true
    case (.text, _), (.integer, _), (.null, _): false
    }
  }

  package func hash(into hasher: inout Hasher) {
    switch self {
    case .text(let text): hasher.combine(Array(text.utf8))
    case .integer(let integer): hasher.combine(integer)
    case .null: hasher.combine(0)
    }
  }
}

extension Fields.Field {
  package static func == (left: Self, right: Self) -> Bool {
    left.name.isExactly(right.name) && left.value == right.value
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(Array(name.utf8))
    hasher.combine(value)
  }
}

extension Fields {
  /// The record as one JSON object.
  package var text: String {
    var bytes: [UInt8] = [UInt8(ascii: "{")]
    for (index, field) in all.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      Self.quote(field.name, into: &bytes)
      bytes.append(UInt8(ascii: ":"))
      switch field.value {
      case .text(let text): Self.quote(text, into: &bytes)
      case .integer(let integer): bytes.append(contentsOf: String(integer).utf8)
      case .null: bytes.append(contentsOf: "null".utf8)
      }
    }
    bytes.append(UInt8(ascii: "}"))
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Appends `text` as a JSON string with its quotation marks.
  package static func quote(_ text: String, into bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 0..<0x20:
        let hex = Array("0123456789abcdef".utf8)
        bytes.append(contentsOf: "\\u00".utf8)
        bytes.append(hex[Int(byte >> 4)])
        bytes.append(hex[Int(byte & 15)])
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// Reads what `text` wrote; `nil` for anything else. It is no general JSON reader: a store hands it back only what
  /// this type made.
  package init?(text: String) {
    var reader = Reader(bytes: Array(text.utf8))
    guard let fields = reader.object() else { return nil }
    self = fields
  }

  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
      position += 1
      return true
    }

    mutating func object() -> Fields? {
      var fields = Fields()
      guard take("{") else { return nil }
      if take("}") { return position == bytes.count ? fields : nil }
      repeat {
        guard let name = string(), take(":"), let value = value() else { return nil }
        fields.append(name, value)
      } while take(",")
      return take("}") && position == bytes.count ? fields : nil
    }

    mutating func value() -> Value? {
      if let text = string() { return .text(text) }
      let start = position
      while position < bytes.count, bytes[position] != UInt8(ascii: ","), bytes[position] != UInt8(ascii: "}") {
        position += 1
      }
      let word = String(decoding: bytes[start..<position], as: UTF8.self)
      return word == "null" ? .null : Int64(word).map(Value.integer)
    }

    mutating func string() -> String? {
      guard take("\"") else { return nil }
      var text: [UInt8] = []
      while position < bytes.count {
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
        case UInt8(ascii: "\\"):
          guard position < bytes.count else { return nil }
          if take("u") {
            guard position + 4 <= bytes.count,
              let code = UInt8(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
            else { return nil }
            text.append(code)
            position += 4
          } else {
            text.append(bytes[position])
            position += 1
          }
        default: text.append(byte)
        }
      }
      return nil
    }
  }
}
