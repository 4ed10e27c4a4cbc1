import Foundation
import PaymentCore
import PaymentEngine
import Testing

/// What a store does with rows that it does not understand.
extension StoreContractTests {
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

  /// A newer release may know another reason for a case. It holds up nobody whose command shares its batch.
  @Test(arguments: StoreKind.withSQL) func aStrayThatCannotBeReadIsLeftAlone(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let (order, registered) = Self.order(merchant, "a")
    try open.store.write(registered)
    let payment = PaymentID(order: Self.order(merchant, "lost").order.id, ordinal: 1)
    let evidence = PaymentEvidence(
      payment: payment, provider: OrderWalk.provider, call: nil, verdict: .succeeded(Money(5, Self.cny)))
    let stray = try #require(
      decide(nil, .evidence(.payment(evidence)), by: .payOnce, now: Self.now, rules: OrderWalk.rules).stray)
    var changes = Changeset()
    changes.strays = [stray]
    try open.store.write(changes)
    let scopes = [Scope.order(payment.order), .order(order.id)]
    #expect(try open.store.find(scopes).strays == [stray])
    try open.run("UPDATE cases SET choice = 'later', resolved_at = 1")
    let loaded = try open.store.find(scopes)
    #expect(loaded.orders == [order] && loaded.strays == [])
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
}
