import Foundation
import OrderRows
import PaymentCore
import PaymentEngine
import Testing

/// Orders that are moved out of a store, and back.
extension StoreContractTests {
  private static func end(_ bytes: Int) -> ArchiveEnd {
    ArchiveEnd(bytes: bytes, sha256: [UInt8](repeating: UInt8(bytes), count: 32))
  }

  private static let id = "0123456789abcdef"

  private static func begin(_ open: OpenStore) async throws -> (archiving: any Archiving, number: Int) {
    let archiving = try #require(open.archiving)
    return (archiving, try await archiving.begin(id, name: "old.jsonl", at: now, end(0)))
  }

  private static func stored(_ open: OpenStore, _ ids: [OrderID]) async throws -> [StoredOrder] {
    var orders: [StoredOrder] = []
    for id in ids { orders.append(try #require(try await open.stored!.stored(.id(id)))) }
    return orders
  }

  /// An order that its shop has closed.
  private static func closedOrder(_ open: OpenStore, _ merchant: MerchantID, _ reference: String) throws -> Order {
    let made = order(merchant, reference)
    try open.store.write(made.changes)
    let closed = change(made.order, .closeOrder(made.order.id))
    try open.store.write(closed.changes)
    return closed.order
  }

  @Test(arguments: StoreKind.withSQL) func aMovedOrderLeavesItsReference(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, coffee) = (try await Self.merchant(open), try await Self.merchant(open, "coffee"))
    let (moved, kept) = (try Self.closedOrder(open, tea, "a"), try Self.closedOrder(open, coffee, "a"))
    let (archiving, number) = try await Self.begin(open)
    let before = try await Self.stored(open, [moved.id])
    try await archiving.move(before, into: number, Self.id, Self.end(123), at: Self.now)

    let archived = ArchivedOrder(
      id: moved.id, merchant: tea, status: .closed, kept: nil, archivedAt: Self.now, archive: number)
    for scope in [Scope.order(moved.id), .reference(tea, "a")] {
      let loaded = try open.store.find([scope, .order(kept.id)])
      #expect(try loaded.whole() == [kept])
      #expect(loaded.archived == [scope.name!: archived] && loaded.held.isEmpty)
      #expect(try await open.reading.archived(scope.name!) == archived)
    }
    let both = try open.store.find([.order(moved.id), .reference(tea, "a"), .reference(tea, "b")])
    #expect(both.archived.count == 2)
    #expect(try open.store.find([.reference(coffee, "a")]).archived.isEmpty)
    #expect(try await open.reading.order(moved.id) == nil)
    #expect(try await open.reading.order(.reference(tea, "a")) == nil)
    #expect(try await open.reading.orders(of: tea, status: nil, after: nil, limit: 9).isEmpty)
    #expect(try await open.reading.events(of: moved.id, after: 0, limit: 9).isEmpty)
    #expect(try await open.reading.archived(.id(kept.id)) == nil)
    let archives = try await open.again().archiving!.archives()
    #expect(archives.map(\.number) == [number] && archives[0].name == "old.jsonl" && archives[0].orders == 1)
    #expect(archives[0].bytes == 123 && archives[0].sha256 == Self.end(123).sha256)
    #expect(archives[0].id == Self.id && archives[0].begunAt == Self.now)
    if let count = open.count {
      for table in ["wakes", "under_way", "waiting"] { #expect(try count("SELECT count(*) FROM \(table)") == 0) }
      #expect(try count("SELECT count(*) FROM events") == 2, "of the other order")
    }

    #expect(try await archiving.bringBack(before, from: number + 1) == [], "it is in another archive")
    #expect(try await archiving.bringBack(before, from: number) == [moved.id])
    #expect(try await archiving.bringBack(before, from: number) == [], "it is there")
    #expect(try await Self.stored(open, [moved.id])[0].record == before[0].record)
    #expect(try open.store.find([.reference(tea, "a")]).whole() == [moved])
    #expect(try await open.reading.archived(.id(moved.id)) == nil)
    // It goes on as if nothing had been.
    try open.store.write(Self.change(moved, .reopenOrder(moved.id, expiresIn: nil)).changes)
  }

  @Test(arguments: StoreKind.withSQL) func theKeptPaymentIsRemembered(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    var made = Self.order(merchant, "a")
    try open.store.write(made.changes)
    made = Self.pay(made.order, "k")
    try open.store.write(made.changes)
    let payment = made.order.payments[0]
    let evidence = PaymentEvidence(
      payment: payment.id, provider: payment.provider, call: nil, verdict: .succeeded(payment.amount))
    made = Self.change(made.order, .evidence(.payment(evidence)))
    try open.store.write(made.changes)
    let (archiving, number) = try await Self.begin(open)
    try await archiving.move(
      try await Self.stored(open, [made.order.id]), into: number, Self.id, Self.end(1), at: Self.now)
    let archived = try #require(try await open.reading.archived(.reference(merchant, "a")))
    #expect(archived.status == .paid && archived.kept?.payment == payment.id)
    #expect(archived.kept?.provider == payment.provider && archived.kept?.received == payment.amount)
  }

  @Test(arguments: StoreKind.withSQL) func whatChangedMeanwhileStays(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let orders = [try Self.closedOrder(open, merchant, "a"), try Self.closedOrder(open, merchant, "b")]
    let before = try await Self.stored(open, orders.map(\.id))
    let changed = Self.change(orders[0], .reopenOrder(orders[0].id, expiresIn: nil))
    #expect(changed.order.status == .closed, "the shop closed it")
    let expired = Self.order(merchant, "c", expiresIn: 60)
    try open.store.write(expired.changes)
    let late = Self.now.advanced(by: .seconds(61))
    let closed = Self.change(expired.order, .wake(expired.order.id), late)
    try open.store.write(closed.changes)
    let read = try await Self.stored(open, [closed.order.id]) + before
    let reopened = Self.change(closed.order, .reopenOrder(closed.order.id, expiresIn: nil), late)
    try open.store.write(reopened.changes)

    let (archiving, number) = try await Self.begin(open)
    try await archiving.move(read, into: number, Self.id, Self.end(1), at: Self.now)
    #expect(try await archiving.archives()[0].orders == 2)
    #expect(try await open.reading.order(closed.order.id) == reopened.order)
    #expect(try await open.reading.events(of: closed.order.id, after: 0, limit: 9).count == 3)
    #expect(try await archiving.bringBack(read, from: number) == Set(orders.map(\.id)))
    #expect(try await open.reading.order(closed.order.id) == reopened.order)
  }

  @Test(.enabled(if: StoreKind.hasPostgres)) func anOrderThatIsHeldStays() async throws {
    let open = try StoreKind.postgres.open()
    let merchant = try await Self.merchant(open)
    let orders = [try Self.closedOrder(open, merchant, "a"), try Self.closedOrder(open, merchant, "b")]
    let read = try await Self.stored(open, orders.map(\.id))
    let (archiving, number) = try await Self.begin(open)
    try await open.store.write(Changeset(), locking: [.order(orders[0].id)]) {
      try await archiving.move(read, into: number, Self.id, Self.end(1), at: Self.now)
    }
    #expect(try await open.reading.order(orders[0].id) == orders[0])
    #expect(try await open.reading.archived(.id(orders[1].id))?.archive == number)
  }

  @Test(arguments: StoreKind.withSQL) func aFeedLosesItsOldestPlaces(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, coffee) = (try await Self.merchant(open), try await Self.merchant(open, "coffee"))
    let old = (1...4).map { Self.order(tea, "\($0)", at: Self.now.advanced(by: .seconds($0))) }
    for made in old { try open.store.write(made.changes) }
    try open.store.write(Self.order(coffee, "1").changes)
    let archiving = try #require(open.archiving)
    func feed(_ after: Int64, _ limit: Int = 9) async throws -> Feed {
      try await open.reading.feed(of: tea, after: after, limit: limit)
    }
    #expect(try await feed(0).events.map(\.position) == [1, 2, 3, 4])
    let end = Self.now.advanced(by: .seconds(3))
    while try await archiving.dropFeed(of: tea, before: end) {}
    // The third is not older, nor is it the newest. What came before it is not missing without a word.
    #expect(try await feed(0).archivedTo == 2)
    #expect(try await feed(1).archivedTo == 2)
    #expect(try await feed(0).events.isEmpty)
    #expect(try await feed(2).archivedTo == nil)
    #expect(try await feed(2).events.map(\.event.id.order) == old[2...].map(\.order.id))
    #expect(try await open.reading.feed(of: coffee, after: 0, limit: 9).events.count == 1)
    // The newest place stays, so that the next one is behind it.
    while try await archiving.dropFeed(of: tea, before: end.advanced(by: .seconds(99))) {}
    #expect(try await feed(2).archivedTo == 3)
    #expect(try await feed(3).events.map(\.position) == [4])
    try open.store.write(Self.order(tea, "5").changes)
    #expect(try await feed(3).events.map(\.position) == [4, 5])
    #expect(try await feed(.max).events.isEmpty)
  }

  @Test(arguments: StoreKind.withSQL) func aPlaceThatCannotBeReadStays(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let made = (1...4).map { Self.order(merchant, "\($0)", at: Self.now.advanced(by: .seconds($0))) }
    for order in made { try open.store.write(order.changes) }
    _ = try await open.reading.feed(of: merchant, after: 0, limit: 9)
    try open.run(
      "UPDATE events SET events = \(kind.literal([9])) WHERE id = \(kind.literal(made[2].order.id.bits.bytes))")
    while try await open.archiving!.dropFeed(of: merchant, before: Self.now.advanced(by: .seconds(99))) {}
    #expect(try await open.reading.feed(of: merchant, after: 0, limit: 9).archivedTo == 2)
  }

  @Test(arguments: StoreKind.withSQL) func aFeedGoesOnBehindMovedOrders(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let (moved, other) = (try Self.closedOrder(open, merchant, "a"), Self.order(merchant, "b"))
    try open.store.write(other.changes)
    _ = try await open.reading.feed(of: merchant, after: 0, limit: 9)
    let (archiving, number) = try await Self.begin(open)
    try await archiving.move(
      try await Self.stored(open, [moved.id]), into: number, Self.id, Self.end(1), at: Self.now)
    // The places are still there: what went with its order is not left out without a word.
    func feed(_ after: Int64, _ limit: Int = 9) async throws -> Feed {
      try await open.reading.feed(of: merchant, after: after, limit: limit)
    }
    for limit in [1, 2, 9] {
      #expect(try await feed(0, limit).archivedTo == (limit == 1 ? 1 : 2))
      #expect(try await feed(0, limit).events.isEmpty)
    }
    #expect(try await feed(1).archivedTo == 2)
    #expect(try await feed(2).events.map(\.position) == [3])
    let third = try Self.closedOrder(open, merchant, "c")
    #expect(try await feed(2).events.map(\.position) == [3, 4, 5])
    try await archiving.move(
      try await Self.stored(open, [third.id]), into: number, Self.id, Self.end(2), at: Self.now)
    #expect(try await feed(2).events.map(\.position) == [3])
    #expect(try await feed(2).archivedTo == nil, "it is said when it is the next")
    #expect(try await feed(3).archivedTo == 5)
    #expect(try await feed(5).archivedTo == nil)
    // Events that are missing of another order are a fault, as ever.
    try open.run("DELETE FROM events")
    await #expect(throws: Fault.unavailable("a row of events cannot be read")) {
      try await open.reading.feed(of: merchant, after: 2, limit: 9)
    }
  }

  @Test(arguments: StoreKind.withSQL) func anArchiveThatIsNotKnownTakesNothing(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let order = try Self.closedOrder(open, merchant, "a")
    let read = try await Self.stored(open, [order.id])
    let (archiving, number) = try await Self.begin(open)
    try await archiving.move([], into: number, Self.id, Self.end(9), at: Self.now)
    for (number, id, bytes) in [(number + 1, Self.id, 10), (number, "another", 10), (number, Self.id, 8)] {
      await #expect(throws: Fault.conflict) {
        try await archiving.move(read, into: number, id, Self.end(bytes), at: Self.now)
      }
    }
    #expect(try open.store.find([.order(order.id)]).whole() == [order])
    #expect(try await archiving.archives()[0].bytes == 9)
  }

  /// A node stands still between its look at a reference and its insert, for longer than anybody should.
  @Test(.enabled(if: StoreKind.hasPostgres)) func aReferenceThatWasMovedMeanwhileIsTaken() async throws {
    let open = try StoreKind.postgres.open()
    let merchant = try await Self.merchant(open)
    let twin = Self.order(merchant, "a", at: Self.now.advanced(by: .seconds(1)))
    let (archiving, number) = try await Self.begin(open)
    await #expect(throws: Fault.conflict) {
      try await open.store.write(twin.changes, locking: [.reference(merchant, "a")]) {
        let first = try Self.closedOrder(try open.again(), merchant, "a")
        try await archiving.move(
          try await Self.stored(open, [first.id]), into: number, Self.id, Self.end(1), at: Self.now)
      }
    }
    #expect(try open.store.find([.reference(merchant, "a")]).archived.count == 1)
    #expect(try await open.reading.order(.reference(merchant, "a")) == nil)
  }

  @Test(arguments: StoreKind.withSQL) func onlyWhatIsAtRestIsOld(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let end = Self.now.advanced(by: .seconds(86_400 * 40))
    var seen: Set<String> = []
    for seed in 1...40 as ClosedRange<UInt64> {
      var walk = OrderWalk(seed: seed, merchant: merchant)
      for _ in 0..<30 {
        try open.store.write(walk.step())
        guard let order = walk.order else { continue }
        let isAtRest = try await Self.stored(open, [order.id])[0].isAtRest(before: end)
        let waits = order.cases.contains { $0.resolvedAt == nil } || order.wakeAt != nil
        #expect(isAtRest == (!waits && [.paid, .closed].contains(order.status)))
        seen.insert("\(order.status) \(waits) \(isAtRest)")
        #expect(try await Self.stored(open, [order.id])[0].isAtRest(before: order.updatedAt) == false)
      }
    }
    #expect(seen.isSuperset(of: ["paid false true", "closed false true", "paid true false", "closed true false"]))
    let order = try Self.closedOrder(open, merchant, "a")
    #expect(try await Self.stored(open, [order.id])[0].isAtRest(before: end))
    try open.run("DELETE FROM events WHERE sequence > 1")
    #expect(try await Self.stored(open, [order.id])[0].isAtRest(before: end) == false, "some are not there")
    try open.run("UPDATE events SET events = \(kind.literal([9]))")
    #expect(try await Self.stored(open, [order.id])[0].isAtRest(before: end) == false, "they cannot be read")
  }
}
