package import PaymentCore

/// What a batch of commands needs to see and to hold still.
package enum Scope: Hashable, Sendable {
  case order(OrderID)
  case reference(MerchantID, String)
  /// Orders whose `wakeAt` is not after the instant, the longest overdue first, at most `limit`, beginning behind a place;
  /// those that another node holds are left out.
  case due(Instant, after: WakePlace? = nil, limit: Int)
}

/// Where an order stands among those that are to be woken: also one that cannot be read has a place, so that it can be
/// passed over.
package struct WakePlace: Hashable, Comparable, Sendable {
  package let at: Int64
  /// The order's id as it stands there.
  package let id: String

  package init(at: Int64, id: String) {
    self.at = at
    self.id = id
  }

  /// `nil` for an order at rest.
  package init?(_ order: Order) {
    guard let at = order.wakeAt else { return nil }
    self.init(at: at.milliseconds, id: order.id.text)
  }

  /// Before every order.
  package static let start = WakePlace(at: .min, id: "")

  package static func < (left: WakePlace, right: WakePlace) -> Bool { (left.at, left.id) < (right.at, right.id) }
}

/// What was found in some scopes.
package struct Loaded: Sendable {
  package var orders: [Order]
  package var unreadable: [UnreadableOrder]
  /// The cases of money that came for orders which were named by their ids and are not there.
  package var strays: [Case] = []
  /// The last place that a scope of due orders came to, if it found as many as it may: there may be more behind it.
  package var dueEnd: WakePlace?
  /// How far the clock of this machine is certainly ahead of the store's own, negative where it is behind; `nil` for a store
  /// without a clock.
  package var clockLead: Duration?

  package init(_ orders: [Order] = [], unreadable: [UnreadableOrder] = []) {
    self.orders = orders
    self.unreadable = unreadable
  }

  /// All of them.
  /// - Throws: a fault that names one that cannot be read.
  package func whole() throws(Fault) -> [Order] {
    if let order = unreadable.first { throw order.fault }
    return orders
  }
}

/// An order whose rows say what this program does not understand: a newer one wrote them, or a person. It is left as it
/// is, and nothing is decided about it.
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

/// What a batch of commands made.
package struct Changeset: Sendable {
  package struct Change: Sendable {
    /// The order as it was loaded; `nil` when it is new.
    package let before: Order?
    package let after: Order
    package init(before: Order?, after: Order) {
      self.before = before
      self.after = after
    }
  }
  package var orders: [Change] = []
  /// In the order in which they happened.
  package var events: [(order: Order, event: Event)] = []
  /// Money of orders that are not stored: a new case, where one that is there already stays as it is; or one that was
  /// resolved, which is a conflict where it was resolved already.
  package var strays: [Case] = []
  /// When somebody wanted to know whether the store can be written; it is written as a row of its own.
  package var probe: Instant?

  package init() {}

  package var isEmpty: Bool { orders.isEmpty && strays.isEmpty && probe == nil }
}

/// Where orders are kept, as one lane writes them, on the lane's own thread.
package protocol Store: Sendable {
  /// One transaction: loads the orders in these scopes, each once, and locks them; has `decide` say what is to be written;
  /// writes it, all or none, and returns when it is durable. An order that cannot be read does not keep the others from
  /// being loaded.
  /// - Parameter decide: called once at most. It is synchronous and does not use the store.
  /// - Returns: what `decide` answers.
  /// - Throws: what `decide` throws, or the store's own fault. Nothing is written then, unless it is `unknownCommit`.
  func transact<Answer: Sendable>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer
}

extension Store {
  /// What is in these scopes, in a transaction that changes nothing.
  package func find(_ scopes: [Scope]) throws(Fault) -> Loaded { try transact(scopes) { (Changeset(), $0) } }

  /// Writes what was decided elsewhere.
  package func write(_ changes: Changeset) throws(Fault) { try transact([]) { _ in (changes, ()) } }
}

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

/// A key as it is kept: never the key itself.
package struct StoredKey: Hashable, Sendable {
  package enum Holder: Hashable, Sendable {
    case merchant(MerchantID, name: String)
    case `operator`(name: String)

    package var name: String {
      switch self {
      case .merchant(_, let name), .operator(let name): name
      }
    }
  }
  /// The public part of the key, by which it is found.
  package let id: String
  /// SHA-256 of the whole key.
  package let hash: [UInt8]
  package let holder: Holder
  package let createdAt: Instant
  package let revokedAt: Instant?

  package init(id: String, hash: [UInt8], holder: Holder, createdAt: Instant, revokedAt: Instant?) {
    self.id = id
    self.hash = hash
    self.holder = holder
    self.createdAt = createdAt
    self.revokedAt = revokedAt
  }
}

/// A shop.
package struct Merchant: Hashable, Sendable {
  package let id: MerchantID
  /// By which it is found: short, and unlike every other's.
  package let name: String
  /// What its buyers are told, where that is another name.
  package var displayName: String?
  /// Whether its buyers' pages show a `Mark` of it.
  package var hasMark: Bool
  /// Whose pages may use and frame its buyers' checkout: origins such as `https://shop.example`, sorted.
  package var origins: [String]

  package init(id: MerchantID, name: String, displayName: String? = nil, hasMark: Bool = false, origins: [String]) {
    self.id = id
    self.name = name
    self.displayName = displayName
    self.hasMark = hasMark
    self.origins = origins
  }

  /// As its buyers know it.
  package var shownName: String { displayName ?? name }
}

/// Who may call: merchants, operators and their keys.
package protocol Directory: Sendable {
  /// Which store this is: 16 random hexadecimal digits, as old as the store, and no secret.
  func storeID() async throws(Fault) -> String
  func key(_ id: String) async throws(Fault) -> StoredKey?
  func keys() async throws(Fault) -> [StoredKey]
  /// The merchant of this name, made when there is none.
  func merchant(named name: String, id: MerchantID) async throws(Fault) -> MerchantID
  func merchant(_ id: MerchantID) async throws(Fault) -> Merchant?
  /// What its buyers are told instead of its name; `nil` for the name itself.
  func setDisplayName(_ name: String?, of merchant: MerchantID) async throws(Fault)
  func mark(of merchant: MerchantID) async throws(Fault) -> Mark?
  /// `nil` for none.
  func setMark(_ mark: Mark?, of merchant: MerchantID) async throws(Fault)
  /// All of them, by name.
  func merchants() async throws(Fault) -> [Merchant]
  /// Lets an origin's pages use a merchant's checkout, or no longer. Either may be said again.
  func setOrigin(_ origin: String, of merchant: MerchantID, allowed: Bool) async throws(Fault)
  func add(_ key: StoredKey) async throws(Fault)
  /// - Returns: whether there was such a key that was not revoked yet.
  func revoke(_ id: String, at now: Instant) async throws(Fault) -> Bool
}
