import Foundation
import OrderRows
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
    let made = try ["head", "part", "later", "fine"].map { reference in
      let (order, registered) = Self.order(merchant, reference)
      let (paying, started) = Self.pay(order, "k")
      try open.store.write(registered)
      try open.store.write(started)
      return (order: order, paying: paying)
    }
    let ids = made.map(\.order.id)
    // What a newer program could have written, in the order's own columns, in its state, and in a part of that.
    func set(_ column: String, _ value: String, _ id: OrderID) throws {
      try open.run("UPDATE orders SET \(column) = \(value) WHERE id = \(kind.literal(id.bits.bytes))")
    }
    try set("currency", "'zzz'", ids[0])
    try set("state", kind.literal(try made[1].paying.withoutCase()), ids[1])
    try set("state", kind.literal(try made[2].paying.encoded() + OrderField.later), ids[2])

    let spoilt = [("head", "orders"), ("part", "cases"), ("later", "orders")].enumerated().map { index, names in
      UnreadableOrder(
        id: ids[index].text, number: Numbering.sha256.order(merchant, names.0), table: names.1)
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
    let page = try await open.reading.orders(
      payableFrom: Self.now, to: Self.now, paidSince: Self.now, after: nil, of: 9)
    #expect(page.orders.map(\.id) == [ids[3]] && Set(page.unreadable) == Set(spoilt) && page.last == ids.max())
    let known = Dictionary(uniqueKeysWithValues: ids.map { ($0, 0) })
    #expect(try await open.reading.changed(since: known).map(\.id) == [ids[3]])
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
    try open.run("UPDATE events SET events = \(kind.literal([0]))")
    await expect("events") { _ = try await open.reading.events(of: order.id, after: 0, limit: 9) }
    await expect("events") { _ = try await open.reading.feed(of: merchant, after: 0, limit: 9) }
    try open.run("UPDATE feed SET spans = \(kind.literal([0]))")
    await expect("feed") { _ = try await open.reading.feed(of: merchant, after: 0, limit: 9) }
    try open.run("UPDATE merchants SET mark = \(kind.literal([0]))")
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
      decide(nil, .evidence(.payment(evidence)), by: .payOnce, now: Self.now, rules: OrderWalk.rules).strays.first)
    var changes = Changeset()
    changes.strays = [stray]
    try open.store.write(changes)
    let scopes = [Scope.order(payment.order), .order(order.id)]
    #expect(try open.store.find(scopes).strays == [stray])
    try open.run("UPDATE strays SET state = \(kind.literal([0]))")
    let loaded = try open.store.find(scopes)
    #expect(loaded.orders == [order] && loaded.strays == [])
    // Somebody has to look at it all the same.
    let waiting = try await open.reading.waiting(limit: 9)
    #expect(waiting.map(\.id) == [stray.id.text] && waiting.map(\.since) == [stray.openedAt])
  }

  /// What says when an order wakes stands beside the order. Where it says something else, a sweep puts it right.
  @Test(arguments: StoreKind.withSQL) func whatWakesAnOrderIsPutRight(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (order, registered) = Self.order(try await Self.merchant(open), "a", expiresIn: 1000)
    try open.store.write(registered)
    let count = try #require(open.count)
    let (at, id) = (Self.now.milliseconds, kind.literal(order.id.bits.bytes))
    // One that is wrong beside the right one, one that is wrong alone, and the right one that is to be written again.
    try open.run("INSERT INTO wakes (at, id) VALUES (\(at), \(id))")
    #expect(try open.store.find([.due(Self.now, limit: 9)]).orders == [order])
    #expect(try open.store.find([.due(Self.now, limit: 9)]).orders == [])
    try open.run("UPDATE wakes SET at = \(at)")
    #expect(try open.store.find([.due(Self.now, limit: 9)]).orders == [order])
    #expect(try count("SELECT at FROM wakes") == order.wakeAt?.milliseconds)
    let paying = Self.pay(order, "k")
    try open.run("INSERT INTO wakes (at, id) VALUES (\(try #require(paying.order.wakeAt).milliseconds), \(id))")
    try open.store.write(paying.changes)
    #expect(try count("SELECT count(*) FROM wakes") == 1)
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
        try open.run(
          "UPDATE orders SET version = version, state = \(kind.literal([0])) WHERE id = \(kind.literal(order.id.bits.bytes))"
        )
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

extension Order {
  /// Its state with a case that says nothing.
  fileprivate func withoutCase() throws -> [UInt8] {
    var (item, end) = (StateWriter(origin: createdAt), StateWriter(origin: createdAt))
    item.bytes(OrderField.cases, [])
    end.integer(OrderField.parts, payments.count + refunds.count + cases.count)
    return try encoded().dropLast(end.bytes.count) + item.bytes + end.bytes
  }
}

extension OrderField {
  /// A field that no release knows yet, with the number 1000.
  fileprivate static let later: [UInt8] = [0xC0, 0x3E, 1]
}
