/// A payment as it is shown to others: with what went back of it, which stands in its order's refunds.
@dynamicMemberLookup
package struct PaymentView: Hashable, Sendable {
  package let payment: Payment
  /// What its provider is told as its number.
  package let number: PaymentNumber
  /// Minor units that went back.
  package let amountRefunded: Int64
  /// Minor units of which the shop can still ask for a refund. Surplus money goes back by itself and is none of them.
  package let amountRefundable: Int64

  package subscript<Value>(dynamicMember path: KeyPath<Payment, Value>) -> Value { payment[keyPath: path] }
}

extension Order {
  /// A payment of this order with what went back of it.
  package func view(_ payment: Payment) -> PaymentView {
    PaymentView(
      payment: payment, number: number(of: payment.id), amountRefunded: refunded(payment),
      amountRefundable: payment.isKept ? max(0, refundable(payment)) : 0)
  }

  package func view(_ id: PaymentID) -> PaymentView? { payment(id).map(view) }

  /// The payment that the order keeps, as it is shown.
  var paidBy: PaymentView? { keptPayment.map(view) }
}
