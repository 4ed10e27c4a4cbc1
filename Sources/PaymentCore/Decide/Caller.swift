/// In whose name a command comes. What it may not see is not found.
package enum Caller: Hashable, Sendable {
  /// PayOnce itself: its schedule, a provider's verified word.
  case payOnce
  /// A person who runs PayOnce, by the name of their login.
  case `operator`(String)
  case merchant(MerchantID)
  /// Whoever shows the secret of a checkout token.
  case buyer(secret: UInt128)

  /// Whose secret it is cannot be told of an order that was moved into an archive, so no buyer may see one.
  package func maySee(_ archived: ArchivedOrder) -> Bool {
    switch self {
    case .payOnce, .operator: true
    case .merchant(let id): archived.merchant == id
    case .buyer: false
    }
  }

  package func maySee(_ order: Order) -> Bool {
    switch self {
    case .payOnce, .operator: true
    case .merchant(let id): order.registration.merchant == id
    case .buyer(let secret): order.checkoutSecret == secret
    }
  }

  /// Whether it may say what becomes of a case.
  var mayResolve: Bool {
    switch self {
    case .payOnce, .operator: true
    case .merchant, .buyer: false
    }
  }
}
