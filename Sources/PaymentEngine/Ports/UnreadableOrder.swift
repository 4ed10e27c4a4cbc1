package import PaymentCore

/// An order with rows that this program does not understand, since a newer one wrote them, or a person. It is left as
/// it is, and nothing is decided about it.
package struct UnreadableOrder: Hashable, Sendable {
  /// As they stand there.
  package let id: String
  package let number: OrderNumber?
  /// The table of the row that cannot be read.
  package let table: String

  package init(id: String, number: OrderNumber?, table: String) {
    self.id = id
    self.number = number
    self.table = table
  }

  /// Whether a command that names this scope is about this order.
  func isNamed(by scope: Scope) -> Bool {
    switch scope {
    case .order(let id): id.text == self.id
    case .number(let number): number == self.number
    case .due: false
    }
  }

  package var fault: Fault { .unavailable("the order \(id) cannot be read: what stands in \(table)") }
}
