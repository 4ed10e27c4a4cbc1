import Contract
import PaymentCore

/// The fields of a form or of a query (`application/x-www-form-urlencoded`), kept as bytes.
package struct FormFields: Sendable {
  private let fields: [(name: [UInt8], value: [UInt8])]

  /// How many bytes a form may have. Our own forms are far smaller.
  static let limit = 4096

  /// Reads a form. A field that is named twice counts as absent: two readers could take different values.
  /// - Throws: `ProblemError` when the form has more than `limit` bytes; a refusal when a decoded value is not UTF-8.
  package init(body bytes: [UInt8]) throws {
    guard bytes.count <= Self.limit else { throw ProblemError(.tooLarge(limit: Self.limit)) }
    let all = Self(parsing: bytes).fields
    guard all.allSatisfy({ String(validating: $0.value, as: UTF8.self) != nil }) else {
      throw Refusal(.invalidRequest, "The form cannot be read: it must be UTF-8.")
    }
    let counts = Dictionary(grouping: all, by: \.name).mapValues(\.count)
    fields = all.filter { counts[$0.name] == 1 }
  }

  /// Reads a query. When a name is repeated its first field counts.
  package init(query: String?) { self.init(parsing: query?.utf8.map { $0 } ?? []) }

  private init(parsing bytes: [UInt8]) {
    fields = bytes.split(separator: UInt8(ascii: "&")).map { field in
      let name = field.prefix { $0 != UInt8(ascii: "=") }
      return (Self.decoded(name), Self.decoded(field.dropFirst(name.count + 1)))
    }
  }

  /// `+` is a blank and `%41` an `A`. A percent sign without two hexadecimal digits stands for itself.
  private static func decoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var rest = bytes
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let high = digit(rest.first), let low = digit(rest.dropFirst().first) {
        decoded.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        decoded.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
      }
    }
    return decoded
  }

  private static func digit(_ byte: UInt8?) -> UInt8? {
    switch byte {
    case .some(let byte) where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte): byte - UInt8(ascii: "0")
    case .some(let byte) where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20): (byte | 0x20) - 87
    default: nil
    }
  }

  /// The value of the first field of this name. An empty value counts as absent.
  package subscript(_ name: String) -> String? {
    guard let value = fields.first(where: { $0.name.elementsEqual(name.utf8) })?.value, !value.isEmpty else {
      return nil
    }
    return String(decoding: value, as: UTF8.self)
  }
}
