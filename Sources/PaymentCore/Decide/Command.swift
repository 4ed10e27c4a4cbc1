/// Everything that can be asked of an order. There is no second way to change one.
package enum Command: Hashable, Sendable {
  /// Register the order. `id` and `checkoutSecret` are used only if there is none with this reference yet.
  case register(Order.Registration, number: OrderNumber, id: OrderID, checkoutSecret: UInt128)
  case pay(OrderID, key: IdempotencyKey, provider: ProviderName, method: String?)
  case closeOrder(OrderID)
  /// Let an order whose deadline passed be paid after all, for as many seconds more; `nil` for as long as at first.
  case reopenOrder(OrderID, expiresIn: Int64?)
  case closePayment(PaymentID)
  /// Ask the provider as soon as may be: when no call is in flight, and a second after the last one ended.
  case check(PaymentID)
  case refund(PaymentID, key: IdempotencyKey, Refund.Request)
  case evidence(Evidence)
  /// - Parameter note: why, in the words of whoever decides.
  case resolve(CaseID, Case.Choice, note: String? = nil)
  /// Take in a payment of which the provider knows and the store does not: a database that was restored has forgotten it.
  case adopt(PaymentID, ProviderName)
  /// Time has passed: look at the deadline, the leases and what is due.
  case wake(OrderID)
  /// The process that made calls is known to be dead, and was the only one: its leases are void.
  case recover(OrderID)

  /// The order that it is about.
  package var name: OrderName {
    switch self {
    case .register(_, let number, _, _): .number(number)
    case .evidence(.payment(let evidence)): evidence.payment.order
    case .evidence(.refund(let evidence)): evidence.refund.order
    case .pay(let id, _, _, _), .closeOrder(let id), .reopenOrder(let id, _), .wake(let id), .recover(let id): .id(id)
    case .closePayment(let id), .check(let id), .refund(let id, _, _), .adopt(let id, _): .id(id.order)
    case .resolve(let id, _, _): .id(id.order)
    }
  }
}
