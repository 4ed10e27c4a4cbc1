package import Hummingbird
package import NIOCore
package import PaymentCore
import Synchronization

/// The context of one request.
package struct WebContext: RequestContext {
  package var coreContext: CoreRequestContextStorage
  package let channel: any Channel
  package let note = LogNote()

  package init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }

  /// The path parameter `id` as an identity.
  /// - Throws: `not_found` when the text cannot be one. The refusal says where the given id belongs.
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
      // The text is repeated only when it can be pasted into an address as it is.
      let isPlain = (1...64).contains(text.utf8.count) && text.utf8.allSatisfy(\.isUnreserved)
      return "This is no order's id: those are ord_ and 26 characters. By your own number an order is found with "
        + "GET /v1/orders?reference=\(isPlain ? text : "…")"
    case is PaymentID.Type: return "This is no payment's id: those are pay_ and 28 characters."
    case is CaseID.Type: return "This is no case's id: those are cas_ and 28 characters."
    case is RefundID.Type: return "This is no refund's id: those are ref_ and 28 characters."
    default: return "There is no such resource."
    }
  }
}

/// What the log is told beside what the answer itself shows.
package final class LogNote: Sendable {
  private struct State {
    var code: String?
    var isMinor = false
  }
  private let state = Mutex(State())

  /// The code of the problem. Pages and redirects do not carry it.
  package var code: String? {
    get { state.withLock { $0.code } }
    set { state.withLock { $0.code = newValue } }
  }

  /// Whether the request is logged at debug level: a page loads several assets, which tell an operator nothing.
  package var isMinor: Bool {
    get { state.withLock { $0.isMinor } }
    set { state.withLock { $0.isMinor = newValue } }
  }
}
