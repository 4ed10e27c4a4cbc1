/// The identity of an order: a UUIDv7 whose twelve `rand_a` bits are those of its number, so that requests that register
/// the same reference at the same time meet in one lane. As text `ord_` and 26 characters.
package struct OrderID: Hashable, Comparable, Sendable {
  package let bits: UInt128

  /// - Parameter random: 62 bits of it are used.
  package init(at now: Instant, number: OrderNumber, random: UInt64) {
    let time = UInt128(UInt64(bitPattern: now.milliseconds) & 0xFFFF_FFFF_FFFF)
    let lane = UInt128(number.laneBits)
    bits = time << 80 | 0x7 << 76 | lane << 64 | 0b10 << 62 | UInt128(random & 0x3FFF_FFFF_FFFF_FFFF)
  }

  /// What a store kept: any 128 bits are an identity.
  package init(bits: UInt128) { self.bits = bits }

  /// When it was made, by the clock of the node that made it.
  package var time: Instant { Instant(milliseconds: Int64(truncatingIfNeeded: bits >> 80)) }

  /// The twelve bits that pick the lane; those of its number.
  package var laneBits: Int { Int(truncatingIfNeeded: bits >> 64) & 0xFFF }

  package static func < (left: OrderID, right: OrderID) -> Bool { left.bits < right.bits }
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
