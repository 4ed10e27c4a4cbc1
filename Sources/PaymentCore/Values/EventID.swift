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
