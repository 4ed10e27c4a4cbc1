import Foundation
import OrderRows
import PaymentCore
import PaymentEngine
import Testing

/// What every store must do. A new one is added to `StoreKind.all`, and nothing else.
@Suite struct StoreContractTests {
  static let cny = Currency(code: "CNY")!
  static let now = OrderWalk.start

  static func merchant(_ open: OpenStore, _ name: String = "tea") async throws -> MerchantID {
    try await open.directory.merchant(named: name, id: MerchantID("mer_\(name)"))
  }

  static func order(
    _ merchant: MerchantID, _ reference: String, at now: Instant = now, expiresIn: Int64 = 900
  ) -> (order: Order, changes: Changeset) {
    let registration = Order.Registration(
      merchant: merchant, reference: reference, amount: Money(100, cny), expiresIn: expiresIn)
    let id = OrderID(at: now, merchant: merchant, reference: reference, random: 5)
    return change(
      nil, .register(registration, number: Numbering.sha256.order(registration), id: id, checkoutSecret: 1), now)
  }

  /// Decides as the journal does, without making calls.
  static func change(_ before: Order?, _ command: Command, _ now: Instant = now) -> (order: Order, changes: Changeset) {
    let decision = decide(before, command, by: .payOnce, now: now, rules: OrderWalk.rules)
    var changes = Changeset()
    changes.orders = [.init(before: before, after: decision.order!)]
    changes.events = decision.events.map { (decision.order!, $0) }
    return (decision.order!, changes)
  }

  static func pay(_ order: Order, _ key: String) -> (order: Order, changes: Changeset) {
    change(order, .pay(order.id, key: IdempotencyKey(key)!, provider: OrderWalk.provider, method: nil))
  }

  @Test(arguments: StoreKind.all) func whatIsSavedIsRead(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    var seen: Set<String> = []
    for seed in 1...60 as ClosedRange<UInt64> {
      var walk = OrderWalk(seed: seed, merchant: merchant)
      for _ in 0..<30 {
        let (known, step) = (walk.order.map { [$0] } ?? [], walk.step())
        let loaded = try open.store.transact([.order(walk.id)]) { (step, $0) }
        try #require(try loaded.whole() == known, "seed \(seed)")
      }
      let order = try #require(walk.order)
      #expect(try await open.reading.order(walk.id) == order)
      #expect(try await open.reading.events(of: walk.id, after: 0, limit: 1000) == walk.events)
      seen.formUnion(order.payments.map(\.status.rawValue))
      seen.formUnion(order.payments.compactMap(\.surplus?.rawValue))
      seen.formUnion(order.refunds.map { "refund \($0.status.rawValue) \($0.cause.rawValue)" })
      seen.formUnion(order.cases.map { "case \($0.reason.rawValue) \($0.choice?.rawValue ?? "open")" })
      seen.formUnion([order.status.rawValue] + (order.duplicates.count > 0 ? ["duplicates"] : []))
    }
    // The walks went everywhere, or the test says little.
    for expected in [
      "open", "paid", "closed", "processing", "requires_action", "succeeded", "failed", "mismatch", "late", "duplicate",
      "refund processing requested", "refund succeeded surplus", "case wrong_amount open",
      "case wrong_amount acknowledge", "duplicates",
    ] { #expect(seen.contains(expected), "no walk came to \(expected)") }
  }

  @Test(arguments: StoreKind.all) func whatIsSavedIsThereAfterReopening(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (order, changes) = Self.order(try await Self.merchant(open), "a")
    try open.store.write(changes)
    let again = try open.again()
    #expect(try await again.reading.order(order.id) == order)
    #expect(try again.store.find([.order(order.id)]).whole() == [order])
  }

  @Test(arguments: StoreKind.all) func scopesNameOrdersOnce(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, coffee) = (try await Self.merchant(open), try await Self.merchant(open, "coffee"))
    let made = [Self.order(tea, "a"), Self.order(tea, "b"), Self.order(coffee, "a")]
    for (_, changes) in made { try open.store.write(changes) }

    func loaded(_ scopes: [Scope]) throws -> [OrderID] {
      let orders = try open.store.find(scopes).whole()
      return orders.map(\.id)
    }
    let ids = made.map(\.order.id)
    #expect(try loaded([.order(ids[0]), .reference(tea, "a"), .order(ids[0])]) == [ids[0]])
    #expect(Set(try loaded([.order(ids[0]), .reference(coffee, "a"), .order(ids[1])])) == Set(ids))
    let unknown = OrderID(at: Self.now, merchant: tea, reference: "z", random: 9)
    #expect(try loaded([.order(unknown), .reference(tea, "z"), .reference(tea, "A")]).isEmpty)
    #expect(try loaded([]).isEmpty)
  }

  @Test(arguments: StoreKind.all) func theStoresClockIsToldWhereItHasOne(_ kind: StoreKind) throws {
    let open = try kind.open()
    let loaded = try open.store.find([])
    if kind.isPostgres {
      #expect(abs(try #require(loaded.clockLead).components.seconds) <= 2)
    } else {
      #expect(loaded.clockLead == nil)
    }
  }

  @Test(arguments: StoreKind.all) func theLongestOverdueComeFirst(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    var ids: [Int64: OrderID] = [:]
    for life in [300, 100, 500, 200, 400] as [Int64] {
      let (order, changes) = Self.order(merchant, "\(life)", expiresIn: life)
      try open.store.write(changes)
      ids[life] = order.id
    }
    func due(after seconds: Int64, limit: Int) throws -> [OrderID] {
      let orders = try open.store.find([.due(Self.now.advanced(by: .seconds(seconds)), limit: limit)]).whole()
      return orders.map(\.id)
    }
    #expect(try due(after: 99, limit: 10).isEmpty)
    #expect(try due(after: 100, limit: 10) == [ids[100]])
    #expect(try due(after: 450, limit: 3) == [ids[100], ids[200], ids[300]])
    #expect(try due(after: 1000, limit: 10).count == 5)
  }

  @Test(arguments: StoreKind.all) func allIsWrittenOrNothing(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    var (_, changes) = Self.order(merchant, "a")
    let twin = Self.order(merchant, "a", at: Self.now.advanced(by: .seconds(1)))
    changes.orders += twin.changes.orders
    changes.events += twin.changes.events
    #expect(throws: Fault.conflict) { try open.store.write(changes) }
    #expect(try await open.reading.orders(of: merchant, status: nil, after: nil, limit: 10).isEmpty)
    #expect(try await open.reading.feed(of: merchant, after: 0, limit: 10).events.isEmpty)
    // And no transaction is left open.
    try open.store.write(Self.order(merchant, "b").changes)
  }

  @Test(arguments: StoreKind.all) func theStoreKeepsTheInvariantsToo(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let (order, registered) = Self.order(merchant, "a")
    try open.store.write(registered)
    let (paying, started) = Self.pay(order, "k1")
    try open.store.write(started)

    // What `decide` would never make: each is refused by the store itself.
    let succeeded = Payment.State.succeeded(.init(paying.payments[0].amount, surplus: nil))
    func payment(_ ordinal: Int, key: String, _ state: Payment.State) -> Payment {
      let first = paying.payments[0]
      let asked = Payment(
        id: PaymentID(order: order.id, ordinal: ordinal), key: IdempotencyKey(key)!, provider: first.provider,
        method: first.method, askedMethod: nil, amount: first.amount, createdAt: first.createdAt,
        expiresAt: first.expiresAt)
      return Payment(restored: asked, state: state, updatedAt: first.updatedAt, calls: first.calls)
    }
    func saves(_ payments: [Payment]) throws -> Bool {
      var changes = Changeset()
      changes.orders = [.init(before: paying, after: paying.with(payments))]
      do throws(Fault) {
        try open.store.transact([.order(order.id)]) { _ in (changes, ()) }
        return true
      } catch {
        #expect(error == .conflict)
        return false
      }
    }
    let first = paying.payments[0]
    #expect(try !saves([first, payment(2, key: "k2", .processing(.init()))]), "two live payments")
    #expect(try !saves([first, payment(2, key: "k1", .closed(watchUntil: nil))]), "two payments of one key")
    #expect(
      try !saves([payment(1, key: "k1", succeeded), payment(2, key: "k2", succeeded)]), "two kept payments")
    #expect(try open.store.find([.order(order.id)]).whole() == [paying])
    #expect(
      try saves([payment(1, key: "k1", succeeded), payment(2, key: "k2", .closed(watchUntil: nil))]), "one kept payment"
    )
  }

  @Test(arguments: StoreKind.all) func whoDecidesNothingWritesNothing(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (order, registered) = Self.order(try await Self.merchant(open), "a")
    #expect(throws: Fault.clockWrong) {
      try open.store.transact([.order(order.id)]) { _ throws(Fault) -> (changes: Changeset, answer: Void) in
        throw .clockWrong
      }
    }
    // The transaction is over: nobody is locked out, and the next one counts.
    #expect(try open.again().store.find([.order(order.id)]).orders == [])
    try open.store.write(registered)
    #expect(try open.store.find([.order(order.id)]).orders == [order])
  }

  @Test(arguments: StoreKind.all) func writersTakeTurns(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (order, registered) = Self.order(try await Self.merchant(open), "a")
    try open.store.write(registered)
    let stores = [open.store, try open.again().store]
    // Every try beyond the first is refused and counted: a lost update would show in the count.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, store) in stores.enumerated() {
        group.addTask {
          for round in 0..<40 {
            while true {
              let isHeld = try store.transact([.order(order.id)]) { loaded throws(Fault) in
                // The other one has it, and is not waited for: its turn comes by asking again.
                guard loaded.held.isEmpty else { return (Changeset(), true) }
                return (Self.pay(try loaded.whole()[0], "\(number)-\(round)").changes, false)
              }
              if !isHeld { break }
              await Task.yield()
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let stored = try await open.reading.order(order.id)
    #expect(stored?.payments.count == 1)
    #expect(stored?.duplicates.count == 79)
  }

  @Test(arguments: StoreKind.all) func readersDoNotWaitForAWriter(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (order, registered) = Self.order(try await Self.merchant(open), "a")
    try open.store.write(registered)
    let (paying, changes) = Self.pay(order, "k")
    try await open.store.write(changes, locking: [.order(order.id)]) { () async throws in
      #expect(try await open.reading.order(order.id) == order)
      #expect(try await open.reading.order(.reference(order.registration.merchant, "a")) == order)
    }
    #expect(try await open.reading.order(order.id) == paying)
  }

  @Test(arguments: StoreKind.all) func aProbeIsWrittenBesideOrdersOrAlone(_ kind: StoreKind) async throws {
    let open = try kind.open()
    for moment in 1...3 {
      var changes = Changeset()
      changes.probe = Instant(milliseconds: Int64(moment))
      try open.store.write(changes)
    }
    let (order, registered) = Self.order(try await Self.merchant(open), "a")
    var changes = registered
    changes.probe = Self.now
    try open.store.write(changes)
    #expect(try await open.reading.order(order.id) == order)
  }
}

extension Order {
  /// The same order with other payments: for what `decide` would never make.
  fileprivate func with(_ payments: [Payment]) -> Order {
    let isPaid = payments.contains { $0.isKept }
    return Order(
      restored: id, number: number, registration: registration, checkoutSecret: checkoutSecret, createdAt: createdAt,
      expiresAt: expiresAt, status: isPaid ? .paid : status, closeReason: closeReason, paidAt: isPaid ? updatedAt : nil,
      closedAt: closedAt, updatedAt: updatedAt, version: version + 1, sequence: sequence, duplicates: duplicates,
      payments: payments, refunds: refunds, cases: cases)
  }
}
