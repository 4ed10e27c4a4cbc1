package import Hummingbird
package import NIOCore
package import PaymentCore
import Synchronization

/// A request while it is answered.
package struct WebContext: RequestContext {
  package var coreContext: CoreRequestContextStorage
  package let channel: any Channel
  package let note = LogNote()

  package init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }

  /// A path parameter as an identity; what cannot be one is not found, and where it would be is said.
  package func id<ID: TextualID>(_ type: ID.Type = ID.self) throws(Refusal) -> ID {
    let text = parameters.get("id") ?? ""
    guard let id = ID(text: text) else { throw Refusal(.notFound, Self.whereToFind(text, insteadOf: ID.self)) }
    return id
  }

  private static func whereToFind(_ text: String, insteadOf wanted: any TextualID.Type) -> String {
    if OrderID(text: text) != nil {
      return "This is an order's id: see GET /v1/orders/\(text), and its payments under /v1/orders/\(text)/payments."
    }
    if PaymentID(text: text) != nil {
      return "This is a payment's id: see GET /v1/payments/\(text). Its order is named there."
    }
    if RefundID(text: text) != nil {
      return "This is a refund's id: see GET /v1/refunds/\(text). Its payment and its order are named there."
    }
    switch wanted {
    case is OrderID.Type:
      // Repeated only where it can be pasted into an address as it is.
      let isPlain = (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(\.isUnreserved)
      return "This is no order's id: those are ord_ and 26 characters. By your own number an order is found with "
        + "GET /v1/orders?reference=\(isPlain ? text : "…")"
    case is PaymentID.Type: return "This is no payment's id: those are pay_ and 28 characters."
    case is RefundID.Type: return "This is no refund's id: those are ref_ and 28 characters."
    default: return "There is no such resource."
    }
  }
}

/// What the log is to know of an answer, beside what the answer shows.
package final class LogNote: Sendable {
  private struct State {
    var code: String?
    var isMinor = false
  }
  private let state = Mutex(State())

  /// With what the request is refused: a page says it in words, a redirect not at all.
  package var code: String? {
    get { state.withLock { $0.code } }
    set { state.withLock { $0.code = newValue } }
  }

  /// A page loads several of these, and none of them tells anything.
  package var isMinor: Bool {
    get { state.withLock { $0.isMinor } }
    set { state.withLock { $0.isMinor = newValue } }
  }
}
