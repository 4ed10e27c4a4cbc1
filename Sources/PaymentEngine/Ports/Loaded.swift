package import PaymentCore

/// What was found in some scopes.
package struct Loaded: Sendable {
  package var orders: [Order]
  package var unreadable: [UnreadableOrder]
  /// The cases of money that came for orders which were named and are not there; see `OrderName.idOfStrays`.
  package var strays: [Case] = []
  /// The orders that were named and moved into an archive.
  package var archived: [OrderName: ArchivedOrder] = [:]
  /// The scopes whose order others hold at the moment, and which was not waited for: every scope that names it. What is
  /// asked about it is asked again, and the others of the batch go on. Without orders of others this is empty.
  package var held: [Scope] = []
  /// The last place of a scope of due orders that found as many as it may. There may be more behind it.
  package var dueEnd: WakePlace?
  /// How far the clock of this machine is certainly ahead of the store's own, negative where it is behind; `nil` for a store
  /// without a clock.
  package var clockLead: Duration?

  package init(_ orders: [Order] = [], unreadable: [UnreadableOrder] = []) {
    self.orders = orders
    self.unreadable = unreadable
  }

  /// All of them.
  /// - Throws: a fault that names one that cannot be read.
  package func whole() throws(Fault) -> [Order] {
    if let order = unreadable.first { throw order.fault }
    return orders
  }
}
