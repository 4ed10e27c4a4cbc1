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

/// The identity of an order: a UUIDv7 whose twelve `rand_a` bits are a fixed hash of merchant and reference, so that
/// requests that register the same reference at the same time meet in one lane. As text `ord_` and 26 characters.
package struct OrderID: Hashable, Comparable, Sendable {
  package let bits: UInt128

  /// - Parameter random: 62 bits of it are used.
  package init(at now: Instant, merchant: MerchantID, reference: String, random: UInt64) {
    let time = UInt128(UInt64(bitPattern: now.milliseconds) & 0xFFFF_FFFF_FFFF)
    let lane = UInt128(Self.laneBits(merchant: merchant, reference: reference))
    bits = time << 80 | 0x7 << 76 | lane << 64 | 0b10 << 62 | UInt128(random & 0x3FFF_FFFF_FFFF_FFFF)
  }

  init(bits: UInt128) { self.bits = bits }

  /// The twelve bits that pick the lane; equal for equal references of a merchant, whichever process computes them.
  package var laneBits: Int { Int(truncatingIfNeeded: bits >> 64) & 0xFFF }

  package static func laneBits(merchant: MerchantID, reference: String) -> Int {
    var hash = FNV1a()
    hash.add(merchant.text.utf8)
    hash.add(CollectionOfOne(0))
    hash.add(reference.utf8)
    return Int(truncatingIfNeeded: (hash.value ^ hash.value >> 24 ^ hash.value >> 48) & 0xFFF)
  }

  package static func < (left: OrderID, right: OrderID) -> Bool { left.bits < right.bits }
}

/// Something of an order that is numbered within it from 1: the identity is the order's and the ordinal, so that it
/// names its order without a look-up, and so that a try which the database forgot gets the same identity, and with it
/// the same key at the provider, when it is made again.
package struct OrderPart<Kind: OrderPartKind>: Hashable, Comparable, Sendable {
  package let order: OrderID
  package let ordinal: Int

  /// - Precondition: the ordinal is in `1...maximum`.
  package init(order: OrderID, ordinal: Int) {
    precondition((1...Self.maximum).contains(ordinal), "an ordinal is two characters of base 32")
    self.order = order
    self.ordinal = ordinal
  }

  /// The highest ordinal that two characters of base 32 hold.
  package static var maximum: Int { 1023 }

  package static func < (left: Self, right: Self) -> Bool { (left.order, left.ordinal) < (right.order, right.ordinal) }
}

/// What tells payments, refunds and cases apart in their text.
package protocol OrderPartKind: Sendable { static var prefix: StaticString { get } }
package enum PaymentKind: OrderPartKind { package static let prefix: StaticString = "pay_" }
package enum RefundKind: OrderPartKind { package static let prefix: StaticString = "ref_" }
package enum CaseKind: OrderPartKind { package static let prefix: StaticString = "cas_" }

/// `pay_`, the order's 26 characters, two for the ordinal; also the trade number at the provider.
package typealias PaymentID = OrderPart<PaymentKind>
/// `ref_`, the order's 26 characters, two for the ordinal; also the refund number at the provider.
package typealias RefundID = OrderPart<RefundKind>
/// `cas_`, the order's 26 characters, two for the ordinal.
package typealias CaseID = OrderPart<CaseKind>

/// The identity of an event: `evt_`, the order's characters without the first (which stays `0` until the year 3084),
/// and three for the event's number within its order.
package struct EventID: Hashable, Sendable {
  package let order: OrderID
  package let sequence: Int

  /// The highest number that three characters of base 32 hold.
  package static let maximumSequence = 32_767

  /// - Precondition: the sequence is in `1...maximumSequence`.
  package init(order: OrderID, sequence: Int) {
    precondition((1...Self.maximumSequence).contains(sequence), "an event number is three characters of base 32")
    self.order = order
    self.sequence = sequence
  }
}

/// The identity of a merchant: `mer_` and characters of `[a-z0-9]`, at most 32 in all.
package struct MerchantID: Hashable, Sendable {
  package let text: String
  package init(_ text: String) { self.text = text }
}

/// The name under which a provider is configured and addressed: `sandbox`, `stripe`, …
package struct ProviderName: Hashable, Sendable {
  package let text: String
  package init(_ text: String) { self.text = text }
}

// MARK: - Text

/// An identity with one canonical text of a prefix and characters of `[a-z0-9]`, at most 32 in all.
package protocol TextualID: Sendable {
  /// Reads the canonical text only: anything else, also the same in capitals, is `nil`.
  init?(text: String)
  var text: String { get }
}

extension OrderID: TextualID {
  package init?(text: String) {
    guard text.utf8.count == 30, text.hasPrefix("ord_"), let bits = Base32.read(text.utf8.dropFirst(4)),
      text.utf8.dropFirst(4).first! < UInt8(ascii: "8")
    else { return nil }
    self.bits = bits
  }

  package var text: String {
    String(capacity: 30, prefix: "ord_") { Base32.write(bits, count: 26, into: &$0) }
  }
}

extension OrderPart: TextualID {
  package init?(text: String) {
    let utf8 = text.utf8
    guard utf8.count == 32, text.hasPrefix(Kind.prefix.description),
      let order = OrderID(text: "ord_" + String(decoding: utf8.dropFirst(4).dropLast(2), as: UTF8.self)),
      let ordinal = Base32.read(utf8.suffix(2)), ordinal > 0
    else { return nil }
    self.init(order: order, ordinal: Int(ordinal))
  }

  package var text: String {
    String(capacity: 32, prefix: Kind.prefix) {
      Base32.write(order.bits, count: 26, into: &$0)
      Base32.write(UInt128(ordinal), count: 2, into: &$0)
    }
  }
}

extension EventID: TextualID {
  package init?(text: String) {
    let utf8 = text.utf8
    guard utf8.count == 32, text.hasPrefix("evt_"),
      let order = OrderID(text: "ord_0" + String(decoding: utf8.dropFirst(4).dropLast(3), as: UTF8.self)),
      let sequence = Base32.read(utf8.suffix(3)), sequence > 0
    else { return nil }
    self.init(order: order, sequence: Int(sequence))
  }

  package var text: String {
    String(capacity: 32, prefix: "evt_") {
      Base32.write(order.bits, count: 25, into: &$0)
      Base32.write(UInt128(sequence), count: 3, into: &$0)
    }
  }
}

extension String {
  /// A prefix and what `write` appends to it.
  fileprivate init(capacity: Int, prefix: StaticString, write: (inout [UInt8]) -> Void) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(capacity)
    prefix.withUTF8Buffer { bytes.append(contentsOf: $0) }
    write(&bytes)
    self = String(decoding: bytes, as: UTF8.self)
  }
}

/// The 64-bit Fowler–Noll–Vo hash (1a): the same in every process and version, unlike `Hasher`.
package struct FNV1a {
  package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  package init() {}

  package mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }
}
