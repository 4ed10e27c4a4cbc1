/// What providers are told of an order: a fixed hash of what its shop calls it, and not of what is remembered here. So an
/// order that a restored database has forgotten is met again at its providers when its shop registers it again.
package struct OrderNumber: Hashable, Sendable {
  package let bits: UInt128

  package init(bits: UInt128) { self.bits = bits }

  /// With which the numbers of its payments begin: `p` and 26 characters.
  package var text: String { String(capacity: 27, prefix: "p") { Base32.write(bits, count: 26, into: &$0) } }

  /// The twelve bits that pick the lane.
  package var laneBits: Int { Int(truncatingIfNeeded: bits) & 0xFFF }
}

/// A payment's trade number at its provider, and its idempotency key there: `p`, 26 characters for the order's number, two
/// for the ordinal.
package struct PaymentNumber: Hashable, Sendable {
  package let order: OrderNumber
  package let ordinal: Int

  /// - Precondition: the ordinal is one of a `PaymentID`.
  package init(order: OrderNumber, ordinal: Int) {
    precondition((1...PaymentID.maximum).contains(ordinal), "an ordinal is two characters of base 32")
    self.order = order
    self.ordinal = ordinal
  }
}

/// A refund's number at its provider, and its idempotency key there: `r` and 26 characters.
package struct RefundNumber: Hashable, Sendable {
  package let bits: UInt128

  package init(bits: UInt128) { self.bits = bits }
}

extension PaymentNumber: TextualID {
  package init?(text: String) {
    let utf8 = text.utf8
    guard utf8.count == 29, utf8.first == UInt8(ascii: "p"), let order = Base32.read(utf8.dropFirst().prefix(26)),
      let ordinal = Base32.read(utf8.suffix(2)), ordinal > 0
    else { return nil }
    self.init(order: OrderNumber(bits: order), ordinal: Int(ordinal))
  }

  package var text: String {
    String(capacity: 29, prefix: "p") {
      Base32.write(order.bits, count: 26, into: &$0)
      Base32.write(UInt128(ordinal), count: 2, into: &$0)
    }
  }
}

extension RefundNumber: TextualID {
  package init?(text: String) {
    guard text.utf8.count == 27, text.utf8.first == UInt8(ascii: "r"), let bits = Base32.read(text.utf8.dropFirst())
    else { return nil }
    self.bits = bits
  }

  package var text: String { String(capacity: 27, prefix: "r") { Base32.write(bits, count: 26, into: &$0) } }
}

/// How the numbers are made that providers are told.
package struct Numbering: Sendable {
  /// 128 bits of a hash of which nobody can find two inputs that give the same: a shop names what is hashed, and must not
  /// be able to take another one's number.
  private let digest: @Sendable ([UInt8]) -> UInt128

  package init(digest: @escaping @Sendable ([UInt8]) -> UInt128) { self.digest = digest }

  package func order(_ merchant: MerchantID, _ reference: String) -> OrderNumber {
    OrderNumber(bits: hash(merchant.text, reference))
  }

  package func order(_ registration: Order.Registration) -> OrderNumber {
    order(registration.merchant, registration.reference)
  }

  /// Of a refund that a shop asks for.
  func refund(of payment: PaymentNumber, _ key: IdempotencyKey) -> RefundNumber {
    RefundNumber(bits: hash("refund", payment.text, key.text))
  }

  /// Of a refund of surplus money, which nobody asks for.
  /// - Parameter earlier: how many of this payment failed before.
  package func surplusRefund(of payment: PaymentNumber, after earlier: Int) -> RefundNumber {
    RefundNumber(bits: hash("surplus", payment.text, String(earlier)))
  }

  /// - Parameter parts: of which only the last may hold a zero byte.
  private func hash(_ parts: String...) -> UInt128 {
    var bytes = Array(parts[0].utf8)
    for part in parts.dropFirst() {
      bytes.append(0)
      bytes.append(contentsOf: part.utf8)
    }
    return digest(bytes)
  }
}
