/// Something of an order that is numbered within it from 1: the identity is the order's and the ordinal, so that it
/// names its order without a look-up.
package struct OrderPartID<Kind: OrderPartKind>: Hashable, Comparable, Sendable {
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

/// `pay_`, the order's 26 characters, two for the ordinal.
package typealias PaymentID = OrderPartID<PaymentKind>

/// `ref_`, the order's 26 characters, two for the ordinal.
package typealias RefundID = OrderPartID<RefundKind>

/// `cas_`, the order's 26 characters, two for the ordinal.
package typealias CaseID = OrderPartID<CaseKind>

extension OrderPartID: TextualID {
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
