import Foundation
import PaymentCore
import PaymentEngine
import PostgresStore
import Testing

/// What only PostgreSQL has to keep.
@Suite(.enabled(if: StoreKind.hasPostgres)) struct PostgresStoreTests {
  /// Whoever connects again under a lane's id stops what the lane sent before and what has not arrived yet: else it could
  /// count after its callers were told that it does not.
  @Test func aNewConnectionStopsWhatAnOldOneStillWrites() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    let (old, new) = (StoreKind.writer(address, id: "lane"), StoreKind.writer(address, id: "lane"))
    let made = StoreContractTests.order(merchant, "a")
    #expect(throws: Fault.conflict) {
      try old.transact([.order(made.order.id)]) { _ throws(Fault) in
        _ = try new.find([])
        return (made.changes, ())
      }
    }
    #expect(try await open.reading.order(made.order.id) == nil)
    // Decided again, it counts.
    try old.write(made.changes)
    #expect(try await open.reading.order(made.order.id) == made.order)
  }

  @Test func aSweepLeavesOutWhatAnotherNodeHolds() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    let orders = try ["held", "free"].map { reference in
      let made = StoreContractTests.order(merchant, reference)
      try open.store.write(made.changes)
      return made.order
    }
    let (node, other) = (StoreKind.writer(address, id: "node"), StoreKind.writer(address, id: "other"))
    let due = Scope.due(StoreContractTests.now.advanced(by: .seconds(10_000)), limit: 10)
    let free = try node.transact([.order(orders[0].id)]) { _ throws(Fault) in (Changeset(), try other.find([due])) }
    #expect(free.orders.map(\.id) == [orders[1].id])
    #expect(Set(try other.find([due]).orders.map(\.id)) == Set(orders.map(\.id)))
  }

  /// What another node holds is not waited for, and not taken for something that is not there.
  @Test func whatAnotherNodeHoldsIsNamed() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    let orders = try ["held", "free"].map { reference in
      let made = StoreContractTests.order(merchant, reference)
      try open.store.write(made.changes)
      return made.order
    }
    let missing = OrderID(at: StoreContractTests.now, merchant: merchant, reference: "none", random: 1)
    let (node, other) = (StoreKind.writer(address, id: "node"), StoreKind.writer(address, id: "other"))
    func find(_ scopes: Scope...) throws -> (free: [OrderID], held: [Scope]) {
      let loaded = try other.find(scopes)
      return (loaded.orders.map(\.id), loaded.held)
    }
    let (held, free) = (orders[0].id, orders[1].id)
    let byName = Scope.reference(merchant, "held")
    let all: [(free: [OrderID], held: [Scope])] = try node.transact([.order(held)]) { _ throws(Fault) in
      do {
        return (
          Changeset(),
          [
            try find(.order(held), .order(free)), try find(byName, .order(free), .reference(merchant, "none")),
            try find(byName, .order(held), .order(missing)), try find(.order(missing), .order(free)),
          ]
        )
      } catch { throw .unavailable("\(error)") }
    }
    #expect(all.map(\.free) == [[free], [free], [], [free]])
    #expect(all.map(\.held) == [[.order(held)], [byName], [byName, .order(held)], []])
    #expect(try find(.order(held), byName).held == [])
  }

  /// Each lane sweeps its own orders, and together they sweep all.
  @Test func aLaneSweepsItsOwnOrders() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    let ids = try (0..<60).map { number in
      // Each at its own moment, since with so many references two would have one id.
      let moment = StoreContractTests.now.advanced(by: .milliseconds(number))
      let made = StoreContractTests.order(merchant, "r-\(number)", at: moment)
      try open.store.write(made.changes)
      return made.order.id
    }
    let now = StoreContractTests.now.advanced(by: .seconds(10_000))
    for count in [1, 2, 3, 64] {
      var found: [OrderID] = []
      for index in 0..<count {
        let share = LaneShare(index: index, count: count)
        let some = try open.store.find([.due(now, limit: 100, of: share)]).orders.map(\.id)
        #expect(some.allSatisfy(share.contains))
        found += some
      }
      #expect(found.count == 60 && Set(found) == Set(ids))
    }
    let page = try open.store.find([.due(now, limit: 5, of: LaneShare(index: 1, count: 2))])
    #expect(page.orders.count == 5 && page.dueEnd != nil)
  }

  /// A former primary that thaws does not find what was stored since, and can write nothing: so also *not found* is not said
  /// without a write.
  @Test func whatWasLookedForIsNotAnsweredWithoutAWrite() throws {
    let address = try StoreKind.newPostgres()
    func isWritten(_ scope: Scope) throws -> Bool {
      let id = UUID().uuidString
      let (old, new) = (StoreKind.writer(address, id: id), StoreKind.writer(address, id: id))
      do throws(Fault) {
        return try old.transact([scope]) { _ throws(Fault) in
          _ = try new.find([])
          return (Changeset(), false)
        }
      } catch {
        #expect(error == .conflict)
        return true
      }
    }
    let id = OrderID(at: StoreContractTests.now, merchant: MerchantID("m"), reference: "r", random: 1)
    #expect(try isWritten(.order(id)))
    #expect(try isWritten(.reference(MerchantID("m"), "r")))
    #expect(try !isWritten(.due(StoreContractTests.now, limit: 10)), "a sweep that found nothing answers nobody")
  }

  @Test func aNodeWithoutSynchronousCommitsIsRefused() async throws {
    let address = try StoreKind.newPostgres(options: "-c synchronous_commit=off")
    #expect(throws: Fault.self) { try StoreKind.writer(address, id: "lane").find([]) }
  }
}
