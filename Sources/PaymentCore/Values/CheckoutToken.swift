/// What opens the checkout page of one order, and no other: `ck_`, the order's 26 characters, and 26 for 128 random
/// bits that the order keeps.
package struct CheckoutToken: Hashable, Sendable {
  package let order: OrderID
  package let secret: UInt128

  package init(order: OrderID, secret: UInt128) {
    self.order = order
    self.secret = secret
  }

  /// Reads the canonical text only.
  package init?(text: String) {
    let utf8 = text.utf8
    guard utf8.count == 55, text.hasPrefix("ck_"),
      let order = OrderID(text: "ord_" + String(decoding: utf8.dropFirst(3).prefix(26), as: UTF8.self)),
      utf8.suffix(26).first! < UInt8(ascii: "8"), let secret = Base32.read(utf8.suffix(26))
    else { return nil }
    self.order = order
    self.secret = secret
  }

  package var text: String {
    var bytes = Array("ck_".utf8)
    bytes.reserveCapacity(55)
    Base32.write(order.bits, count: 26, into: &bytes)
    Base32.write(secret, count: 26, into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension Order {
  package var checkoutToken: CheckoutToken { CheckoutToken(order: id, secret: checkoutSecret) }
}
