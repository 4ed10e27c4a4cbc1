import Foundation
import PaymentCore
import PaymentEngine
import Testing

/// What is read beside the lane.
extension StoreContractTests {
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
    func page(
      _ start: Int, _ end: Int, paidSince: Int = 9999, after: OrderID? = nil, of count: Int
    ) async throws -> ([OrderID], OrderID?) {
      let page = try await open.reading.orders(
        payableFrom: Self.now.advanced(by: .seconds(start)), to: Self.now.advanced(by: .seconds(end)),
        paidSince: Self.now.advanced(by: .seconds(paidSince)), after: after, of: count)
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
    let (paying, started) = Self.pay(orders[1], "k")
    let paid = PaymentEvidence(
      payment: PaymentID(order: ids[1], ordinal: 1), provider: OrderWalk.provider, call: nil,
      verdict: .succeeded(orders[1].registration.amount))
    let (_, ended) = Self.change(paying, .evidence(.payment(paid)), Self.now.advanced(by: .seconds(30)))
    for changes in [started, ended] { try open.store.write(changes) }
    #expect(try await payable(41, 60) == [ids[2]])
    for (since, found) in [(30, Array(ids[1...])), (31, [ids[2]])] {
      #expect(try await page(41, 60, paidSince: since, of: 10).0 == found, "paid since \(since)")
    }
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
        let page = try await open.reading.feed(of: tea, after: after, limit: 3).events
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
    // The largest number that a cursor can be is a cursor, too.
    #expect(try await open.reading.feed(of: tea, after: .max, limit: 100).events.isEmpty)
    #expect(try await open.reading.events(of: order.id, after: 100_000, limit: 100).isEmpty)
  }

  /// A commit with several events can be read from its middle, and what is paid is not under way any more.
  @Test(arguments: StoreKind.all) func aCommitIsReadFromItsMiddle(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let (order, registered) = Self.order(merchant, "a")
    let (paying, started) = Self.pay(order, "k")
    let evidence = PaymentEvidence(
      payment: PaymentID(order: order.id, ordinal: 1), provider: OrderWalk.provider, call: nil,
      verdict: .succeeded(order.registration.amount))
    let (paid, ended) = Self.change(paying, .evidence(.payment(evidence)))
    #expect(paid.status == .paid && ended.events.count == 2)
    for changes in [registered, started, ended] { try open.store.write(changes) }
    let all = (registered.events + started.events + ended.events).map(\.event)
    for after in 0...all.count {
      for limit in 1...all.count {
        let page = try await open.reading.feed(of: merchant, after: Int64(after), limit: limit).events
        let expected = all.dropFirst(after).prefix(limit)
        #expect(page.map(\.event) == Array(expected), "after \(after), \(limit)")
        #expect(page.map(\.position) == expected.indices.map { Int64($0 + 1) })
        let events = try await open.reading.events(of: order.id, after: after, limit: limit)
        #expect(events == Array(expected), "after \(after), \(limit)")
      }
    }
    if let count = open.count { #expect(try count("SELECT count(*) FROM under_way") == 0) }
  }

  @Test(arguments: StoreKind.all) func strayMoneyIsOneCase(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let id = PaymentID(order: Self.order(merchant, "lost").order.id, ordinal: 1)
    let evidence = PaymentEvidence(
      payment: id, provider: OrderWalk.provider, call: nil, verdict: .succeeded(Money(5, Self.cny)))
    var changes = Changeset()
    let decision = decide(nil, .evidence(.payment(evidence)), by: .payOnce, now: Self.now, rules: OrderWalk.rules)
    changes.strays = [try #require(decision.strays.first)]
    try open.store.write(changes)
    try open.store.write(changes)
    if let count = open.count { #expect(try count("SELECT count(*) FROM strays") == 1) }
    // It is found by the id of the order that is not there, and resolved once.
    let (other, stray) = (OrderID(at: Self.now, merchant: merchant, reference: "other", random: 5), changes.strays[0])
    #expect(try open.store.find([.order(other)]).strays == [])
    #expect(try open.again().store.find([.order(other), .order(id.order)]).strays == [stray])
    let resolve = Command.resolve(stray.id, .acknowledge)
    let resolved = decide(
      nil, strays: [stray], resolve, by: .operator("ann"), now: Self.now, rules: OrderWalk.rules
    ).strays.first
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
          provider: provider, item: open, since: since))
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
      expect(.closingOrder, order, order.id.text, order.livePayment?.provider, order.closingSince)
    }
    // Money of an order that is not stored.
    let payment = PaymentID(order: Self.order(merchant, "lost").order.id, ordinal: 1)
    let evidence = PaymentEvidence(
      payment: payment, provider: OrderWalk.provider, call: nil, verdict: .succeeded(Money(5, Self.cny)))
    var changes = Changeset()
    let stray = try #require(
      decide(nil, .evidence(.payment(evidence)), by: .payOnce, now: Self.now, rules: OrderWalk.rules).strays.first)
    changes.strays = [stray]
    try open.store.write(changes)
    expected.insert(
      Waiting(
        kind: .openCase, order: payment.order, id: stray.id.text, merchant: nil, reference: nil,
        provider: OrderWalk.provider, item: stray, since: Self.now))

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
}
