import Logging
import Synchronization

/// Orders that cannot be read, as all lanes know them. The log names each of them once, whichever lane met it.
final class UnreadableOrders: Sendable {
  private let ids = Mutex<Set<String>>([])
  private let logger: Logger

  /// More than these are not named.
  private static let limit = 1000

  init(logger: Logger) { self.logger = logger }

  func complain(_ orders: [UnreadableOrder]) {
    for order in orders where ids.withLock({ $0.count < Self.limit && $0.insert(order.id).inserted }) {
      logger.error(
        "an order cannot be read and is passed over: a newer payonce wrote it, or a person",
        metadata: ["order": "\(order.id)", "table": "\(order.table)"])
    }
  }
}
