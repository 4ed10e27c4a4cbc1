/// What `decide` made of a command.
package struct Decision: Hashable, Sendable {
  /// The order as it stands now; `nil` if there is none for this caller.
  package let order: Order?
  /// What happened, oldest first.
  package let events: [Event]
  package let outcome: Outcome
  /// The cases of verified money of an order that did not exist here: a new one, or those that were just resolved.
  package let strays: [Case]
}

package typealias Outcome = Result<Reply, Refusal>

extension Refusal: Error {}

/// What a command that was not refused is answered with. `isRepeat` says that an earlier request had made it.
package enum Reply: Hashable, Sendable {
  case order(Order, isRepeat: Bool)
  case payment(PaymentID, of: Order, isRepeat: Bool)
  case refund(RefundID, of: Order, isRepeat: Bool)
  case noted
}
