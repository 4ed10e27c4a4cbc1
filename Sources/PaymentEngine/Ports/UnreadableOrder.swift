import PaymentCore

/// An order with rows that this program does not understand, since a newer one wrote them, or a person. It is left as
/// it is, and nothing is decided about it.
package struct UnreadableOrder: Hashable, Sendable {
  /// As they stand there.
  package let id: String
  package let merchant: String
  package let reference: String
  /// The table of the row that cannot be read.
  package let table: String

  package init(id: String, merchant: String, reference: String, table: String) {
    self.id = id
    self.merchant = merchant
    self.reference = reference
    self.table = table
  }

  /// Whether a command that names this scope is about this order.
  func isNamed(by scope: Scope) -> Bool {
    switch scope {
    case .order(let id): id.text == self.id
    case .reference(let merchant, let reference): merchant.text == self.merchant && reference == self.reference
    case .due: false
    }
  }

  package var fault: Fault { .unavailable("the order \(id) cannot be read: what stands in \(table)") }
}
