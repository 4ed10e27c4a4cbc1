package import PaymentCore
import Synchronization

/// Who waits for what: requests and pages that want to hear when an order changes.
package final class Listeners: Sendable {
  /// Who listens: each kind has places of its own, so that those who look keep nobody from paying.
  package enum Kind: Sendable {
    /// A request that waits for the outcome of what it asked for.
    case command
    /// A buyer's page.
    /// - Parameter from: the address that it came from, where one is known that is not everybody's.
    case page(from: [UInt8]?)

    var isPage: Bool { if case .page = self { true } else { false } }
  }

  /// How many may listen at once. A command, or a page, too many gets `Fault.overloaded`; of an order's and an address's
  /// pages the oldest gives way to the newest.
  package struct Places: Sendable {
    package var commands = 20_000
    package var commandsOfOrder = 128
    package var pages = 20_000
    package var pagesOfOrder = 32
    package var pagesOfAddress = 256

    package init() {}

    /// For a server with so many connections: those that wait leave some free for what is answered at once.
    package init(connections: Int) {
      commands = connections * 2 / 5
      commandsOfOrder = min(commandsOfOrder, max(8, commands / 2))
      pages = connections / 2
      pagesOfOrder = min(pagesOfOrder, max(1, pages / 4))
      pagesOfAddress = min(pagesOfAddress, max(1, pages / 4))
    }
  }

  private struct State {
    /// The subscriptions of each order, the oldest first.
    var subscriptions: [OrderID: [Subscription]] = [:]
    /// The pages of each address, the oldest first.
    var addresses: [[UInt8]: [Subscription]] = [:]
    var commands = 0
    var pages = 0
    var count: Int { commands + pages }
    /// The number of the next subscription.
    var next = 0
    var parked: CheckedContinuation<Void, Never>?
    var isStopped = false

    /// The subscriptions that may go, the oldest first. The sequence is the same in every process.
    func due(_ now: Duration?) -> [Subscription] {
      subscriptions.values.joined().filter { $0.isDue(now) }.sorted { $0.number < $1.number }
    }

    mutating func add(_ subscription: Subscription) {
      subscriptions[subscription.order, default: []].append(subscription)
      switch subscription.kind {
      case .command: commands += 1
      case .page(let address):
        pages += 1
        if let address { addresses[address, default: []].append(subscription) }
      }
    }

    mutating func remove(_ subscription: Subscription) {
      guard subscriptions.take(subscription, from: subscription.order) else { return }
      switch subscription.kind {
      case .command: commands -= 1
      case .page(let address):
        pages -= 1
        if let address { _ = addresses.take(subscription, from: address) }
      }
    }

    /// Removes the pages that give way to one more.
    mutating func makeRoom(on order: OrderID, for address: [UInt8]?, _ places: Places) -> [Subscription] {
      var leaving: [Subscription] = []
      let ofOrder = (subscriptions[order] ?? []).filter(\.kind.isPage)
      if ofOrder.count >= places.pagesOfOrder, let oldest = ofOrder.first { leaving.append(oldest) }
      let ofAddress = address.flatMap { addresses[$0] } ?? []
      if ofAddress.count >= places.pagesOfAddress, let oldest = ofAddress.first { leaving.append(oldest) }
      for subscription in leaving { remove(subscription) }
      return leaving
    }
  }
  private let state = Mutex(State())
  private let clock: any Clock
  private let places: Places

  package init(clock: any Clock, places: Places = Places()) {
    self.clock = clock
    self.places = places
  }

  /// Listens to an order for as long as the work takes. Nothing that is published from now on is missed, even before
  /// `first` is called.
  package func withSubscription<Value>(
    to order: OrderID, as kind: Kind = .command, _ work: (Subscription) async throws -> Value
  ) async throws -> Value {
    let subscription = try subscribe(to: order, as: kind)
    defer { subscription.end() }
    return try await work(subscription)
  }

  /// Begins to listen. Other targets use `withSubscription`, which cannot forget the end.
  func subscribe(to order: OrderID, as kind: Kind = .command) throws(Fault) -> Subscription {
    let subscribed = state.withLock { state -> (Subscription, [Subscription], CheckedContinuation<Void, Never>?)? in
      var leaving: [Subscription] = []
      switch kind {
      case .command:
        let ofOrder = (state.subscriptions[order] ?? []).count { !$0.kind.isPage }
        guard state.commands < places.commands, ofOrder < places.commandsOfOrder else { return nil }
      case .page(let address):
        leaving = state.makeRoom(on: order, for: address, places)
        guard state.pages < places.pages else { return nil }
      }
      let subscription = Subscription(order: order, kind: kind, number: state.next, listeners: self)
      if state.isStopped { subscription.expire(now: nil) }
      state.next += 1
      state.add(subscription)
      defer { state.parked = nil }
      return (subscription, leaving, state.parked)
    }
    guard let (subscription, leaving, parked) = subscribed else { throw .overloaded }
    parked?.resume()
    for other in leaving { other.expire(now: nil) }
    return subscription
  }

  /// Throws if there is no place for a page. A stream has to say so before its body begins.
  package func checkPlaceForPage() throws(Fault) {
    if state.withLock({ $0.pages >= places.pages }) { throw .overloaded }
  }

  /// Tells everybody who listens to one of these orders.
  package func publish(_ orders: [Order]) {
    for order in orders {
      let listening = state.withLock { $0.subscriptions[order.id] } ?? []
      for subscription in listening { subscription.hear(order) }
    }
  }

  func end(_ subscription: Subscription) {
    state.withLock { $0.remove(subscription) }
  }

  func deadline(in duration: Duration) -> Duration { clock.uptime() + duration }

  /// Lets those go who have waited long enough, until `stop`.
  package func run() async {
    while true {
      await park()
      guard !state.withLock(\.isStopped), (try? await clock.sleep(for: .milliseconds(100))) != nil else { return }
      let now = clock.uptime()
      for subscription in state.withLock({ $0.due(now) }) { subscription.expire(now: now) }
    }
  }

  /// Until somebody listens, or nobody may any more.
  private func park() async {
    await withCheckedContinuation { continuation in
      let isParked = state.withLock { state in
        guard state.count == 0, !state.isStopped else { return false }
        state.parked = continuation
        return true
      }
      if !isParked { continuation.resume() }
    }
  }

  /// Lets everybody go, and nobody wait any more: the process is about to end.
  package func stop() {
    let (all, parked) = state.withLock { state in
      state.isStopped = true
      defer { state.parked = nil }
      return (state.due(nil), state.parked)
    }
    parked?.resume()
    for subscription in all { subscription.expire(now: nil) }
  }

  /// The orders to which somebody listens, each with the lowest version that one of its listeners has, `-1` for none.
  /// The sequence is the same in every process.
  var heard: [(OrderID, Int)] {
    state.withLock { state in
      state.subscriptions.map { ($0.key, $0.value.map(\.version).min() ?? -1) }.sorted { $0.0 < $1.0 }
    }
  }

  /// How many listen.
  package var count: Int { state.withLock { $0.count } }
}

extension Dictionary where Value == [Subscription] {
  /// Takes one out of a list, if it is there.
  fileprivate mutating func take(_ subscription: Subscription, from key: Key) -> Bool {
    guard var list = self[key], let index = list.firstIndex(where: { $0 === subscription }) else { return false }
    list.remove(at: index)
    self[key] = list.isEmpty ? nil : list
    return true
  }
}
