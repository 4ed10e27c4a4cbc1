import PaymentCore
import PaymentEngine
import Testing

/// Where looks at what is due begin, and which lane makes them.
@Suite struct SweeperTests {
  /// Most looks begin where the last one ended, and a little before; from time to time one begins at the beginning.
  @Test func mostLooksBeginWhereTheLastOneEnded() async throws {
    let limits = Limits {
      $0.wholeSweepInterval = .seconds(10)
      $0.sweepOverlap = .seconds(1)
    }
    let bench = EngineHarness(limits: limits)
    let store = bench.store
    try await bench.running {
      try await bench.untilLater("looks at all that is due", within: .seconds(600), yielding: 100) {
        store.looks.count { $0.after == nil } >= 3
      }
    }
    let looks = store.looks
    let whole = looks.indices.filter { looks[$0].after == nil }
    #expect(whole[1] - whole[0] > 5 && whole[2] - whole[1] > 5, "\(whole)")
    let places = looks[(whole[0] + 1)..<whole[1]].compactMap { $0.after?.at }
    #expect(places == places.sorted() && places.count == whole[1] - whole[0] - 1)
    let overlap = limits.sweepOverlap.wholeMilliseconds
    #expect(places.allSatisfy { $0 <= bench.clock.now().milliseconds - overlap })
  }

  /// Each lane looks at its own orders.
  @Test func everyLaneSweepsItsOwn() async throws {
    let stores = (0..<3).map { _ in FakeStore() }
    let bench = EngineHarness(store: stores[0], others: Array(stores[1...]))
    try await bench.running {
      try await bench.untilLater("looks of all lanes", within: .seconds(60), yielding: 200) {
        stores.allSatisfy { $0.looks.count >= 3 }
      }
    }
    for (index, store) in stores.enumerated() {
      #expect(store.looks.allSatisfy { $0.share == LaneShare(index: index, count: 3) })
    }
  }
}
