/// By what an order is found.
package enum OrderName: Hashable, Sendable {
  case id(OrderID)
  case number(OrderNumber)

  /// The id under which cases are kept of money that came while there is no such order; in place of an id that is not known
  /// it has the bits of the number.
  package var idOfStrays: OrderID {
    switch self {
    case .id(let id): id
    case .number(let number): OrderID(bits: number.bits)
    }
  }

  /// For people.
  package var text: String {
    switch self {
    case .id(let id): id.text
    case .number(let number): number.text
    }
  }

  /// The twelve bits that pick the lane: the same whichever of its names is known.
  package var laneBits: Int {
    switch self {
    case .id(let id): id.laneBits
    case .number(let number): number.laneBits
    }
  }
}
