/// Crockford's base 32 in lower case: it sorts as the number does and avoids letters that are read as digits.
enum Base32 {
  private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
  private static let values: [UInt8] = {
    var table = [UInt8](repeating: 255, count: 256)
    for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
    return table
  }()

  /// Writes the low `5 * count` bits of `value` as `count` characters.
  static func write(_ value: UInt128, count: Int, into bytes: inout some RangeReplaceableCollection<UInt8>) {
    for position in (0..<count).reversed() {
      bytes.append(alphabet[Int(truncatingIfNeeded: value >> UInt128(5 * position)) & 31])
    }
  }

  /// The number that the characters spell, or `nil` when one is not of the alphabet or the number exceeds 128 bits.
  static func read(_ characters: some Sequence<UInt8>) -> UInt128? {
    var value: UInt128 = 0
    for character in characters {
      let digit = values[Int(character)]
      guard digit < 32, value >> 123 == 0 else { return nil }
      value = value << 5 | UInt128(digit)
    }
    return value
  }
}

/// An identity with one canonical text of a prefix and characters of `[a-z0-9]`, at most 32 in all.
package protocol TextualID: Sendable {
  /// Reads the canonical text only: anything else, also the same in capitals, is `nil`.
  init?(text: String)
  var text: String { get }
}

extension String {
  /// A prefix and what `write` appends to it.
  init(capacity: Int, prefix: StaticString, write: (inout [UInt8]) -> Void) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(capacity)
    prefix.withUTF8Buffer { bytes.append(contentsOf: $0) }
    write(&bytes)
    self = String(decoding: bytes, as: UTF8.self)
  }
}
