package import PaymentCore

/// Where orders are looked at. A read never waits for a writer and never holds one up. An order that cannot be read is a
/// fault that names it, since a list without it would not be true.
package protocol Reading: Sendable {
  func order(_ id: OrderID) async throws(Fault) -> Order?
  func order(merchant: MerchantID, reference: String) async throws(Fault) -> Order?

  /// A merchant's orders, newest first, beginning after `after`.
  func orders(of merchant: MerchantID, status: Order.Status?, after: OrderID?, limit: Int) async throws(Fault)
    -> [Order]

  /// Of the next orders of all merchants behind `after`, oldest first, those that could be paid at some time between two
  /// instants, or changed in it.
  /// - Parameter count: how many orders are looked at, so that one call takes a bounded time.
  /// - Returns: also the last order that was looked at; `nil` when there was none.
  func orders(
    payableFrom start: Instant, to end: Instant, after: OrderID?, of count: Int
  ) async throws(Fault) -> (orders: [Order], last: OrderID?)

  /// Of these orders those that have changed since they had the version that is known, in no particular order; without
  /// those that cannot be read.
  func changed(since known: [OrderID: Int]) async throws(Fault) -> [Order]

  /// The events of an order, oldest first, beginning after the number `after`.
  func events(of order: OrderID, after: Int, limit: Int) async throws(Fault) -> [Event]

  /// A merchant's events of all orders, in an order that never changes and into which nothing is ever inserted.
  func feed(of merchant: MerchantID, after position: Int64, limit: Int) async throws(Fault) -> [(
    position: Int64, event: Event
  )]

  /// What does not go on, or not by itself, of all merchants: of each kind at most `limit`, the oldest first. Of an order
  /// that cannot be read, too.
  func waiting(limit: Int) async throws(Fault) -> [Waiting]
}
