package import PaymentCore

/// Writes JSON directly into bytes, one member after the other.
package struct JSONWriter {
  package private(set) var bytes: [UInt8] = []
  private var needsComma = false

  package init() { bytes.reserveCapacity(1024) }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
  }

  private mutating func name(_ name: StaticString) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    name.withUTF8Buffer { bytes.append(contentsOf: $0) }
    bytes.append(UInt8(ascii: "\""))
    bytes.append(UInt8(ascii: ":"))
  }

  private mutating func nested(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONWriter) -> Void) {
    bytes.append(UInt8(ascii: open))
    needsComma = false
    body(&self)
    bytes.append(UInt8(ascii: close))
    needsComma = true
  }

  /// Writes an object that is the whole text, or an element of an array.
  package mutating func object(_ body: (inout JSONWriter) -> Void) {
    separate()
    nested("{", "}", body)
  }

  package mutating func object(_ name: StaticString, _ body: (inout JSONWriter) -> Void) {
    self.name(name)
    nested("{", "}", body)
  }

  package mutating func array(_ name: StaticString, _ body: (inout JSONWriter) -> Void) {
    self.name(name)
    nested("[", "]", body)
  }

  package mutating func string(_ name: StaticString, _ value: String?) {
    self.name(name)
    if let value { Fields.quote(value, into: &bytes) } else { bytes.append(contentsOf: "null".utf8) }
  }

  /// Writes a string that is an element of an array.
  package mutating func string(_ value: String) {
    separate()
    Fields.quote(value, into: &bytes)
  }

  package mutating func integer(_ name: StaticString, _ value: Int64?) {
    self.name(name)
    bytes.append(contentsOf: (value.map { String($0) } ?? "null").utf8)
  }

  package mutating func bool(_ name: StaticString, _ value: Bool) {
    self.name(name)
    bytes.append(contentsOf: (value ? "true" : "false").utf8)
  }

  package mutating func instant(_ name: StaticString, _ value: Instant?) { string(name, value?.rfc3339) }

  package mutating func fields(_ name: StaticString, _ value: Fields) {
    self.name(name)
    bytes.append(contentsOf: value.text.utf8)
  }

  package mutating func null(_ name: StaticString) { string(name, nil) }
}
