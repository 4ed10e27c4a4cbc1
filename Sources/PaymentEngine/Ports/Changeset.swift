package import PaymentCore

/// What a batch of commands made.
package struct Changeset: Sendable {
  package struct Change: Sendable {
    /// The order as it was loaded; `nil` when it is new.
    package let before: Order?
    package let after: Order
    package init(before: Order?, after: Order) {
      self.before = before
      self.after = after
    }
  }
  package var orders: [Change] = []
  /// The events, in the sequence in which they happened.
  package var events: [(order: Order, event: Event)] = []
  /// Money of orders that are not stored: a new case, where one that is there already stays as it is; or one that was
  /// resolved, which is a conflict where it was resolved already.
  package var strays: [Case] = []
  /// The moment of a probe, which is written as a row of its own to prove that the store can be written.
  package var probe: Instant?

  package init() {}

  /// The cases that begin with it.
  var opened: [(item: Case, order: Order?)] {
    let own = orders.flatMap { change in
      change.after.cases.dropFirst(change.before?.cases.count ?? 0).map { (item: $0, order: Optional(change.after)) }
    }
    return (own + strays.map { (item: $0, order: nil) }).filter { $0.item.resolvedAt == nil }
  }

  package var isEmpty: Bool { orders.isEmpty && strays.isEmpty && probe == nil }
}
