package import PaymentCore

/// Where orders are looked at. A read does not wait for a writer and holds none up, with one exception: on PostgreSQL,
/// readers of a feed take turns to give new events their places. An order that cannot be read is a fault that names it;
/// a list without it would not be true.
package protocol Reading: Sendable {
  func order(_ name: OrderName) async throws(Fault) -> Order?

  /// What is left of an order that was moved into an archive.
  func archived(_ name: OrderName) async throws(Fault) -> ArchivedOrder?

  /// A case of money that came for an order which is not stored.
  func stray(_ id: CaseID) async throws(Fault) -> Case?

  /// A merchant's orders, newest first, beginning after `after`.
  func orders(of merchant: MerchantID, status: Order.Status?, after: OrderID?, limit: Int) async throws(Fault)
    -> [Order]

  /// Looks at the next orders of all merchants behind `after`, oldest first, and returns those that could be paid, or
  /// changed, at some time between two instants, and those that were paid since a third.
  /// - Parameter count: how many orders are looked at, so that one call takes a bounded time.
  /// - Returns: also those that cannot be read, and the last order that was looked at; `nil` when there was none.
  func orders(
    payableFrom start: Instant, to end: Instant, paidSince: Instant, after: OrderID?, of count: Int
  ) async throws(Fault) -> (orders: [Order], unreadable: [UnreadableOrder], last: OrderID?)

  /// Returns those of the orders that have a newer version than the one that is known, in no particular sequence,
  /// without those that cannot be read.
  func changed(since known: [OrderID: Int]) async throws(Fault) -> [Order]

  /// The events of an order, oldest first, beginning after the number `after`.
  func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event]

  /// A merchant's events of all orders, in an order that never changes and into which nothing is ever inserted.
  func feed(of merchant: MerchantID, after position: Int64, limit: Int) async throws(Fault) -> Feed

  /// Whatever of any merchant does not go on, or not by itself: at most `limit` of each kind, the oldest first. It
  /// includes orders that cannot be read.
  func waiting(limit: Int) async throws(Fault) -> [Waiting]
}

extension Reading {
  package func order(_ id: OrderID) async throws(Fault) -> Order? { try await order(.id(id)) }

  /// A case, open or resolved, and the order that has it; `nil` for a stray.
  package func find(_ id: CaseID) async throws(Fault) -> (item: Case, order: Order?)? {
    if let order = try await order(id.order), id.ordinal <= order.cases.count {
      return (order.cases[id.ordinal - 1], order)
    }
    return try await stray(id).map { ($0, nil) }
  }
}

/// A page of a merchant's feed.
package struct Feed: Sendable {
  package let events: [(position: Int64, event: Event)]
  /// Up to where the events that were asked for were moved into archives. There are no others then.
  package let archivedTo: Int64?

  package init(_ events: [(position: Int64, event: Event)], archivedTo: Int64? = nil) {
    self.events = events
    self.archivedTo = archivedTo
  }
}
