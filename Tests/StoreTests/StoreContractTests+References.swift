import PaymentCore
import PaymentEngine
import Testing

/// A reference is the shop's own number: unique for its merchant, and nobody else's business.
extension StoreContractTests {
  @Test(arguments: StoreKind.all) func twoMerchantsMayUseOneReference(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, coffee) = (try await Self.merchant(open), try await Self.merchant(open, "coffee"))
    let made = [tea, coffee].map { Self.order($0, "a") }
    // Also in one batch.
    var changes = made[0].changes
    changes.orders += made[1].changes.orders
    changes.events += made[1].changes.events
    try open.store.write(changes)
    for (merchant, order) in zip([tea, coffee], made.map(\.order)) {
      #expect(try await open.reading.order(.reference(merchant, "a")) == order)
      #expect(try await open.reading.orders(of: merchant, status: nil, after: nil, limit: 10) == [order])
      #expect(try open.store.find([.reference(merchant, "a")]).whole() == [order])
      let events = try await open.reading.feed(of: merchant, after: 0, limit: 10).events
      #expect(events.map(\.event.id.order) == [order.id])
    }
    #expect(try await open.reading.order(.reference(MerchantID("mer_none"), "a")) == nil)
    #expect(try await open.reading.order(.reference(tea, "A")) == nil, "bytes, and not what looks alike")
  }

  @Test(arguments: StoreKind.all) func oneMerchantMayNot(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let first = Self.order(merchant, "a")
    try open.store.write(first.changes)
    let twin = Self.order(merchant, "a", at: Self.now.advanced(by: .seconds(1)))
    #expect(twin.order.id != first.order.id)
    #expect(throws: Fault.conflict) { try open.store.write(twin.changes) }
    #expect(try await open.reading.order(.reference(merchant, "a")) == first.order)
  }
}
