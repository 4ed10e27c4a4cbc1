import Foundation
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
    return change(nil, .register(registration, id: id, checkoutSecret: 1), now)
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

  @Test(arguments: StoreKind.withSQL) func whatCannotBeReadIsNamedAndHoldsNothingUp(
    _ kind: StoreKind
  ) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let made = ["head", "part", "missing", "fine"].map { Self.order(merchant, $0) }
    for (order, changes) in made {
      try open.store.write(changes)
      try open.store.write(Self.pay(order, "k").changes)
    }
    let ids = made.map(\.order.id)
    // What a newer program could have written, and what no program writes.
    try open.run("UPDATE orders SET metadata = 'later' WHERE id = '\(ids[0].text)'")
    try open.run("UPDATE payments SET currency = 'zzz' WHERE order_id = '\(ids[1].text)'")
    try open.run("UPDATE orders SET payment_count = 2 WHERE id = '\(ids[2].text)'")

    let spoilt = [("head", "orders"), ("part", "payments"), ("missing", "payments")].enumerated().map { index, names in
      UnreadableOrder(id: ids[index].text, merchant: merchant.text, reference: names.0, table: names.1)
    }
    for scopes in [
      ids.map { .order($0) }, made.map { .reference(merchant, $0.order.registration.reference) },
      [.due(Self.now.advanced(by: .seconds(1000)), limit: 10)],
    ] as [[Scope]] {
      let loaded = try open.store.find(scopes)
      #expect(loaded.orders.map(\.id) == [ids[3]])
      #expect(Set(loaded.unreadable) == Set(spoilt))
    }
    for order in spoilt {
      let id = try #require(OrderID(text: order.id))
      await #expect(throws: order.fault) { try await open.reading.order(id) }
    }
    await #expect(throws: Fault.self) { try await open.reading.orders(of: merchant, status: nil, after: nil, limit: 9) }
    let known = Dictionary(uniqueKeysWithValues: ids.map { ($0, 0) })
    #expect(try await open.reading.changed(since: known).map(\.id) == [ids[3]])
  }

  /// What a newer release may write in any column that an update would write again: it is not passed over, or the update
  /// would take it away.
  @Test(arguments: StoreKind.withSQL) func nothingThatIsNotUnderstoodIsPassedOver(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let spoilers = [
      ("payments", "action = 'later', action_value = 'x'"), ("payments", "action = 'redirect'"),
      ("payments", "action_value = 'https://bank.example'"), ("payments", "failure_message = 'later'"),
      // Each of them is known, and not in this state.
      ("payments", "action = 'redirect', action_value = 'https://bank.example'"),
      ("payments", "status = 'requires_action'"),
      ("payments", "status = 'closed', failure_code = 'declined', failure_message = ''"),
      ("payments", "call_kind = 'query', call_until = 5, call_number = NULL, call_asked_at = 1"),
      ("payments", "call_kind = 'later', call_until = 5, call_number = 1, call_asked_at = 1"),
      ("payments", "call_kind = NULL, call_until = NULL, call_number = 1"),
      ("payments", "last_call_kind = NULL, last_call_at = NULL, last_call_finding = 'found'"),
      ("orders", kind.isPostgres ? "refused_keys = '\\x0102030405'" : "refused_keys = x'0102030405'"),
    ]
    for (index, (table, assignment)) in spoilers.enumerated() {
      let (order, registered) = Self.order(merchant, "r-\(index)")
      try open.store.write(registered)
      try open.store.write(Self.pay(order, "k").changes)
      #expect(try open.store.find([.order(order.id)]).orders.map(\.id) == [order.id])
      let key = table == "orders" ? "id" : "order_id"
      try open.run("UPDATE \(table) SET \(assignment) WHERE \(key) = '\(order.id.text)'")
      let loaded = try open.store.find([.order(order.id)])
      #expect(loaded.orders.isEmpty, "\(assignment)")
      #expect(loaded.unreadable.map(\.table) == [table], "\(assignment)")
    }
  }

  /// What cannot be read beside orders is the same fault in every store, and names the table.
  @Test(arguments: StoreKind.withSQL) func aRowThatCannotBeReadIsNamed(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let (order, registered) = Self.order(merchant, "a")
    try open.store.write(registered)
    func expect(_ table: String, _ read: () async throws -> Void) async {
      await #expect(throws: Fault.unavailable("a row of \(table) cannot be read")) { try await read() }
    }
    try open.run("UPDATE events SET data = 'later'")
    await expect("events") { _ = try await open.reading.events(of: order.id, after: 0, limit: 9) }
    await expect("events") { _ = try await open.reading.feed(of: merchant, after: 0, limit: 9) }
    try open.run("UPDATE merchants SET mark = \(kind.isPostgres ? "'\\x00'" : "x'00'")")
    await expect("merchants") { _ = try await open.directory.mark(of: merchant) }
  }

  /// A sweep comes past what it cannot read, however much that is, and sees each order once.
  @Test(arguments: StoreKind.withSQL) func whatIsDueIsFoundPageByPage(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    var (all, spoilt): (Set<OrderID>, Set<String>) = ([], [])
    for number in 0..<10 {
      // Many at the same moment, too.
      let (order, changes) = Self.order(merchant, "r-\(number)", expiresIn: number < 6 ? 100 : 200)
      try open.store.write(changes)
      if number % 3 == 0 {
        try open.run("UPDATE orders SET metadata = 'later' WHERE id = '\(order.id.text)'")
        spoilt.insert(order.id.text)
      } else {
        all.insert(order.id)
      }
    }
    var (found, unreadable): ([OrderID], [String]) = ([], [])
    var place: WakePlace?
    var pages = 0
    repeat {
      let due = Scope.due(Self.now.advanced(by: .seconds(1000)), after: place, limit: 3)
      let loaded = try open.store.find([due])
      found += loaded.orders.map(\.id)
      unreadable += loaded.unreadable.map(\.id)
      place = loaded.dueEnd
      pages += 1
    } while place != nil && pages < 10
    #expect(pages == 4)
    #expect(found.count == all.count && Set(found) == all)
    #expect(unreadable.count == spoilt.count && Set(unreadable) == spoilt)
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
    #expect(try await open.reading.feed(of: merchant, after: 0, limit: 10).isEmpty)
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
            try store.transact([.order(order.id)]) { loaded throws(Fault) in
              (Self.pay(try loaded.whole()[0], "\(number)-\(round)").changes, ())
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
      #expect(try await open.reading.order(merchant: order.registration.merchant, reference: "a") == order)
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

  @Test(arguments: StoreKind.all) func listsHaveCursors(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, coffee) = (try await Self.merchant(open), try await Self.merchant(open, "coffee"))
    var ids: [OrderID] = []
    for number in 0..<7 {
      let made = Self.order(tea, "\(number)", at: Self.now.advanced(by: .seconds(number)))
      try open.store.write(made.changes)
      if number % 2 == 0 { try open.store.write(Self.change(made.order, .closeOrder(made.order.id)).changes) }
      try open.store.write(Self.order(coffee, "\(number)").changes)
      ids.insert(made.order.id, at: 0)
    }
    func page(_ status: Order.Status?, _ after: OrderID?, _ limit: Int) async throws -> [OrderID] {
      try await open.reading.orders(of: tea, status: status, after: after, limit: limit).map(\.id)
    }
    #expect(try await page(nil, nil, 10) == ids)
    #expect(try await page(nil, nil, 3) == Array(ids[..<3]))
    #expect(try await page(nil, ids[2], 3) == Array(ids[3..<6]))
    #expect(try await page(nil, ids[6], 3).isEmpty)
    #expect(try await page(.closed, nil, 10) == [ids[0], ids[2], ids[4], ids[6]])
    #expect(try await page(.open, ids[1], 1) == [ids[3]])
    #expect(try await page(.paid, nil, 10).isEmpty)
  }

  @Test(arguments: StoreKind.all) func ordersOfASpanOfTimeAreFound(_ kind: StoreKind) async throws {
    let open = try kind.open()
    var orders: [Order] = []
    for (number, name) in ["tea", "coffee", "tea"].enumerated() {
      let merchant = try await Self.merchant(open, name)
      let made = Self.order(merchant, "\(number)", at: Self.now.advanced(by: .seconds(10 * number)))
      try open.store.write(made.changes)
      orders.append(made.order)
    }
    func page(_ start: Int, _ end: Int, after: OrderID? = nil, of count: Int) async throws -> ([OrderID], OrderID?) {
      let page = try await open.reading.orders(
        payableFrom: Self.now.advanced(by: .seconds(start)), to: Self.now.advanced(by: .seconds(end)), after: after,
        of: count)
      return (page.orders.map(\.id), page.last)
    }
    func payable(_ start: Int, _ end: Int) async throws -> [OrderID] { try await page(start, end, of: 10).0 }
    let ids = orders.map(\.id)
    #expect(try await payable(50, 60) == ids, "all were open then")
    #expect(try await payable(0, 10) == Array(ids[..<2]), "the last one came later")
    #expect(try await page(50, 60, of: 2) == (Array(ids[..<2]), ids[1]))
    #expect(try await page(50, 60, after: ids[1], of: 2) == ([ids[2]], ids[2]))
    #expect(try await page(50, 60, after: ids[2], of: 2) == ([], nil))
    #expect(try await page(0, 5, after: ids[0], of: 1) == ([], ids[1]), "looked at, and not meant")
    let closed = Self.change(orders[0], .closeOrder(ids[0]), Self.now.advanced(by: .seconds(40)))
    try open.store.write(closed.changes)
    #expect(try await payable(40, 60) == ids, "it was closed within that time")
    #expect(try await payable(41, 60) == Array(ids[1...]), "it was closed before")
  }

  @Test(arguments: StoreKind.all) func whatChangedIsToldByVersions(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let (old, new) = (Self.order(merchant, "old"), Self.order(merchant, "new"))
    for made in [old, new] { try open.store.write(made.changes) }
    let closed = Self.change(new.order, .closeOrder(new.order.id))
    try open.store.write(closed.changes)
    let unknown = OrderID(at: Self.now, merchant: merchant, reference: "z", random: 9)
    let known = [old.order.id: old.order.version, new.order.id: new.order.version, unknown: -1]
    #expect(try await open.reading.changed(since: known) == [closed.order])
    #expect(try await open.reading.changed(since: [old.order.id: -1]) == [old.order])
    #expect(try await open.reading.changed(since: [:]).isEmpty)
  }

  @Test(arguments: StoreKind.all) func theFeedOnlyGrows(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, coffee) = (try await Self.merchant(open), try await Self.merchant(open, "coffee"))
    var (expected, read): (Set<EventID>, [EventID]) = ([], [])
    var orders: [Order] = []
    func pages(after position: Int64, _ read: inout [EventID]) async throws -> Int64 {
      var after = position
      while true {
        let page = try await open.reading.feed(of: tea, after: after, limit: 3)
        guard let last = page.last else { return after }
        #expect(page.count <= 3 && page.first!.position > after)
        #expect(page.map(\.position) == page.map(\.position).sorted())
        read += page.map(\.event.id)
        after = last.position
      }
    }
    for number in 0..<4 {
      let made = Self.order(tea, "\(number)")
      try open.store.write(made.changes)
      try open.store.write(Self.order(coffee, "\(number)").changes)
      expected.formUnion(made.changes.events.map(\.event.id))
      orders.append(made.order)
    }
    // Whoever reads on, while it is written, misses nothing.
    var after: Int64 = 0
    for order in orders.reversed() {
      after = try await pages(after: after, &read)
      let closed = Self.change(order, .closeOrder(order.id))
      try open.store.write(closed.changes)
      expected.formUnion(closed.changes.events.map(\.event.id))
    }
    _ = try await pages(after: after, &read)
    #expect(read.count == expected.count && Set(read) == expected)
    for order in orders { #expect(read.filter { $0.order == order.id }.map(\.sequence) == [1, 2]) }
    // And whoever begins anew sees the same.
    var again: [EventID] = []
    _ = try await pages(after: 0, &again)
    #expect(again == read)
    let order = orders[0]
    #expect(try await open.reading.events(of: order.id, after: 1, limit: 1).map(\.id.sequence) == [2])
  }

  @Test(arguments: StoreKind.all) func strayMoneyIsOneCase(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let id = PaymentID(order: Self.order(merchant, "lost").order.id, ordinal: 1)
    let evidence = PaymentEvidence(
      payment: id, provider: OrderWalk.provider, call: nil, verdict: .succeeded(Money(5, Self.cny)))
    var changes = Changeset()
    let decision = decide(nil, .evidence(.payment(evidence)), by: .payOnce, now: Self.now, rules: OrderWalk.rules)
    changes.strays = [try #require(decision.stray)]
    try open.store.write(changes)
    try open.store.write(changes)
    if let count = open.count { #expect(try count("SELECT count(*) FROM cases") == 1) }
    // It is found by the id of the order that is not there, and resolved once.
    let (other, stray) = (OrderID(at: Self.now, merchant: merchant, reference: "other", random: 5), changes.strays[0])
    #expect(try open.store.find([.order(other)]).strays == [])
    #expect(try open.again().store.find([.order(other), .order(id.order)]).strays == [stray])
    let resolve = Command.resolve(stray.id, .acknowledge)
    let resolved = decide(
      nil, strays: [stray], resolve, by: .operator("ann"), now: Self.now, rules: OrderWalk.rules
    ).stray
    changes.strays = [try #require(resolved)]
    try open.store.write(changes)
    #expect(try open.again().store.find([.order(id.order)]).strays == changes.strays)
    #expect(throws: Fault.conflict) { try open.store.write(changes) }
    #expect(try await open.reading.waiting(limit: 10).isEmpty)
    // What its provider repeats changes nothing.
    changes.strays = [stray]
    try open.store.write(changes)
    #expect(try open.store.find([.order(id.order)]).strays == [try #require(resolved)])
  }

  /// What waits for somebody, and nothing else: after every kind of life that an order can have.
  @Test(arguments: StoreKind.all) func whatWaitsIsListed(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    #expect(try await open.reading.waiting(limit: 10).isEmpty)
    var expected: Set<Waiting> = []
    func expect(
      _ kind: Waiting.Kind, _ order: Order, _ id: String, _ provider: ProviderName?, _ since: Instant?,
      _ open: Case? = nil
    ) {
      guard let since else { return }
      expected.insert(
        Waiting(
          kind: kind, order: order.id, id: id, merchant: "tea", reference: order.registration.reference,
          provider: provider, reason: open?.reason.rawValue, note: open?.note, since: since))
    }
    for seed in 1...60 as ClosedRange<UInt64> {
      var walk = OrderWalk(seed: seed, merchant: merchant)
      for _ in 0..<(10 + seed % 20) { try open.store.write(walk.step()) }
      let order = try #require(walk.order)
      for payment in order.payments {
        expect(.unknownPayment, order, payment.id.text, payment.provider, payment.unknownSince)
      }
      for refund in order.refunds {
        expect(.unknownRefund, order, refund.id.text, OrderWalk.provider, refund.unknownSince)
      }
      for item in order.cases where item.resolvedAt == nil {
        expect(.openCase, order, item.id.text, item.provider, item.openedAt, item)
      }
      if order.status == .closing {
        let event = walk.events.last { $0.type == .orderClosing }
        expect(.closingOrder, order, order.id.text, order.livePayment?.provider, try #require(event).at)
      }
    }
    // Money of an order that is not stored.
    let payment = PaymentID(order: Self.order(merchant, "lost").order.id, ordinal: 1)
    let evidence = PaymentEvidence(
      payment: payment, provider: OrderWalk.provider, call: nil, verdict: .succeeded(Money(5, Self.cny)))
    var changes = Changeset()
    let stray = try #require(
      decide(nil, .evidence(.payment(evidence)), by: .payOnce, now: Self.now, rules: OrderWalk.rules).stray)
    changes.strays = [stray]
    try open.store.write(changes)
    expected.insert(
      Waiting(
        kind: .openCase, order: payment.order, id: stray.id.text, merchant: nil, reference: nil,
        provider: OrderWalk.provider, reason: "unknown_payment", note: stray.note, since: Self.now))

    let found = try await open.reading.waiting(limit: 1000)
    #expect(found.count == expected.count && Set(found) == expected)
    for kind in Waiting.Kind.allCases {
      let some = found.filter { $0.kind == kind }
      #expect(some.count >= 2, "no walk came to \(kind)")
      if kind != .closingOrder { #expect(some.map(\.since) == some.map(\.since).sorted()) }
      let one = try await open.reading.waiting(limit: 1).filter { $0.kind == kind }
      #expect(one.map(\.since) == [some[0].since], "the oldest of each kind")
    }
  }

  @Test(arguments: StoreKind.all) func theDirectoryIsWrittenBesideALane(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let hash = (0..<32).map { UInt8($0) }
    for number in 0..<50 {
      let id = MerchantID("mer_\(number)")
      let key = StoredKey(
        id: "sk_\(number)", hash: hash, holder: .merchant(merchant, name: "tea"), createdAt: Self.now, revokedAt: nil)
      let now = Self.now.advanced(by: .milliseconds(number))
      // Asked for while a transaction is open.
      let tasks = try await open.store.write(Self.order(merchant, "\(number)", at: now).changes, locking: []) {
        () async throws in
        let added = Task { try await open.directory.merchant(named: "\(number)", id: id) }
        let keyed = Task { try await open.directory.add(key) }
        for _ in 0..<5 { #expect(try await open.directory.merchant(merchant) != nil) }
        return (added, keyed)
      }
      #expect(try await tasks.0.value == id)
      try await tasks.1.value
    }
    #expect(try await open.directory.keys().count == 50)
    #expect(try await open.directory.merchants().count == 51)
    #expect(try await open.reading.orders(of: merchant, status: nil, after: nil, limit: 1000).count == 50)
  }

  @Test(arguments: StoreKind.all) func aStoreSaysWhichItIs(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let id = try await open.directory.storeID()
    #expect(id.count == 16 && id.allSatisfy { "0123456789abcdef".contains($0) })
    #expect(try await open.again().directory.storeID() == id)
    if open.count != nil { #expect(try await kind.open().directory.storeID() != id) }
  }

  @Test(arguments: StoreKind.all) func aMerchantCanBeShownByAnotherName(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, cups) = (try await Self.merchant(open), try await Self.merchant(open, "cups"))
    #expect(try await open.directory.merchant(tea)?.shownName == "tea")
    try await open.directory.setDisplayName("Little Tea Shop 小茶铺", of: tea)
    try await open.directory.setOrigin("https://a.example", of: tea, allowed: true)
    let shown = Merchant(id: tea, name: "tea", displayName: "Little Tea Shop 小茶铺", origins: ["https://a.example"])
    #expect(try await open.again().directory.merchant(tea) == shown)
    #expect(try await open.directory.merchants() == [Merchant(id: cups, name: "cups", origins: []), shown])
    #expect(try await open.directory.merchant(named: "tea", id: MerchantID("mer_x")) == tea, "it is found as before")
    try await open.directory.setDisplayName(nil, of: tea)
    #expect(try await open.directory.merchant(tea)?.shownName == "tea")
  }

  @Test(arguments: StoreKind.all) func aMerchantCanHaveAMark(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, cups) = (try await Self.merchant(open), try await Self.merchant(open, "cups"))
    #expect(try await open.directory.mark(of: tea) == nil)
    #expect(try await open.directory.mark(of: MerchantID("mer_none")) == nil)
    // Every byte, and as many as may be.
    let mark = Mark([0xFF, 0xD8, 0xFF] + (3..<Mark.limit).map { UInt8(truncatingIfNeeded: $0) })
    #expect(mark != nil)
    try await open.directory.setMark(mark, of: tea)
    #expect(try await open.again().directory.mark(of: tea) == mark)
    #expect(try await open.directory.mark(of: cups) == nil)
    #expect(try await open.directory.merchants().map(\.hasMark) == [false, true])
    try await open.directory.setMark(nil, of: tea)
    #expect(try await open.directory.mark(of: tea) == nil)
    #expect(try await open.directory.merchant(tea)?.hasMark == false)
  }

  @Test func aMarkIsASmallPicture() {
    let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    #expect(Mark(png)?.form == .png)
    #expect(Mark(Array("RIFF1234WEBPVP8 ".utf8))?.form == .webp)
    #expect(Mark([0xFF, 0xD8, 0xFF, 0xE0])?.form == .jpeg)
    for wrong in ["", "RIFF", "RIFF1234WAVE", "<svg xmlns='http://www.w3.org/2000/svg'/>", "GIF89a"] {
      #expect(Mark(Array(wrong.utf8)) == nil)
    }
    #expect(Mark(Array(png.dropLast())) == nil)
    #expect(Mark(png + [UInt8](repeating: 0, count: Mark.limit - png.count + 1)) == nil)
  }

  @Test(arguments: StoreKind.all) func originsAreTheMerchantsOwn(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let tea = try await Self.merchant(open)
    let cups = try await open.directory.merchant(named: "cups", id: MerchantID("mer_cups"))
    for origin in ["https://b.example", "https://a.example", "https://a.example"] {
      try await open.directory.setOrigin(origin, of: tea, allowed: true)
    }
    try await open.directory.setOrigin("https://b.example", of: cups, allowed: true)
    try await open.directory.setOrigin("https://c.example", of: cups, allowed: false)
    let both = ["https://a.example", "https://b.example"]
    #expect(try await open.directory.merchant(tea) == Merchant(id: tea, name: "tea", origins: both))
    try await open.directory.setOrigin("https://b.example", of: tea, allowed: false)
    #expect(
      try await open.again().directory.merchants() == [
        Merchant(id: cups, name: "cups", origins: ["https://b.example"]),
        Merchant(id: tea, name: "tea", origins: ["https://a.example"]),
      ])
  }

  @Test(arguments: StoreKind.all) func keysAreKeptByTheirHash(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let tea = try await Self.merchant(open)
    #expect(try await open.directory.merchant(named: "tea", id: MerchantID("mer_other")) == tea)
    #expect(try await open.directory.merchant(tea) == Merchant(id: tea, name: "tea", origins: []))
    #expect(try await open.directory.merchant(MerchantID("mer_none")) == nil)

    let hash = (0..<32).map { UInt8($0) }
    let keys = [
      StoredKey(
        id: "sk_a", hash: hash, holder: .merchant(tea, name: "tea"), createdAt: Self.now, revokedAt: nil),
      StoredKey(
        id: "op_b", hash: hash, holder: .operator(name: "Ada"), createdAt: Self.now.advanced(by: .seconds(1)),
        revokedAt: nil),
    ]
    for key in keys { try await open.directory.add(key) }
    // Another process sees them at once.
    #expect(try await open.again().directory.keys() == keys)
    #expect(try await open.directory.key("sk_a") == keys[0])
    #expect(try await open.directory.key("sk_c") == nil)
    #expect(try await open.directory.revoke("sk_a", at: Self.now))
    #expect(try await !open.directory.revoke("sk_a", at: Self.now.advanced(by: .seconds(1))))
    #expect(try await !open.directory.revoke("sk_c", at: Self.now))
    #expect(try await open.directory.key("sk_a")?.revokedAt == Self.now)
    let other = StoredKey(
      id: keys[0].id, hash: Array(repeating: 9, count: 32), holder: keys[0].holder, createdAt: Self.now, revokedAt: nil)
    await #expect(throws: Fault.conflict) { try await open.directory.add(other) }
  }
}

extension Order {
  /// The same order with other payments: for what `decide` would never make.
  fileprivate func with(_ payments: [Payment]) -> Order {
    Order(
      restored: id, registration: registration, checkoutSecret: checkoutSecret, createdAt: createdAt,
      expiresAt: expiresAt, status: status, closeReason: closeReason, paidAt: paidAt, closedAt: closedAt,
      updatedAt: updatedAt, version: version, sequence: sequence, duplicates: duplicates, payments: payments,
      refunds: refunds, cases: cases)
  }
}
