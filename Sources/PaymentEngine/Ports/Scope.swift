package import PaymentCore

/// What a batch of commands needs to see and to hold still.
package enum Scope: Hashable, Sendable {
  case order(OrderID)
  case number(OrderNumber)
  /// Orders whose `wakeAt` is not after the instant, the longest overdue first, at most `limit`, beginning behind a place;
  /// those that another node holds are left out.
  case due(Instant, after: WakePlace? = nil, limit: Int, of: LaneShare = .all)
}

extension Scope {
  /// `nil` where it names no order.
  package var name: OrderName? {
    switch self {
    case .order(let id): .id(id)
    case .number(let number): .number(number)
    case .due: nil
    }
  }

  package init(_ name: OrderName) {
    switch name {
    case .id(let id): self = .order(id)
    case .number(let number): self = .number(number)
    }
  }
}

/// Which orders a lane decides about: by the bits of their ids, so that every process says the same.
package struct LaneShare: Hashable, Sendable {
  package let index: Int
  /// How many lanes there are.
  package let count: Int

  package init(index: Int, count: Int) {
    self.index = index
    self.count = count
  }

  package static let all = LaneShare(index: 0, count: 1)

  package func contains(_ id: OrderID) -> Bool { id.laneBits % count == index }
}

/// Where an order stands among those that are to be woken. An order that cannot be read has a place, too, so that it
/// can be passed over.
package struct WakePlace: Hashable, Comparable, Sendable {
  package let at: Int64
  package let id: OrderID

  package init(at: Int64, id: OrderID) {
    self.at = at
    self.id = id
  }

  /// `nil` for an order at rest.
  package init?(_ order: Order) {
    guard let at = order.wakeAt else { return nil }
    self.init(at: at.milliseconds, id: order.id)
  }

  /// Before all that wake at this moment or later.
  init(before moment: Instant) { self.init(at: moment.milliseconds - 1, id: OrderID(bits: .max)) }

  /// Before every order.
  package static let start = WakePlace(at: .min, id: OrderID(bits: 0))

  package static func < (left: WakePlace, right: WakePlace) -> Bool {
    left.at == right.at ? left.id < right.id : left.at < right.at
  }
}
