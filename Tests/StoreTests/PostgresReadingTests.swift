import OrderRows
import PaymentCore
import PaymentEngine
import Testing

@testable import PostgresStore

/// What readers see while others write, made to happen by locks that a test holds.
@Suite(.enabled(if: StoreKind.hasPostgres)) struct PostgresReadingTests {
  /// Somebody else at the same database.
  private struct Other {
    let connection: PostgresConnection

    init(_ address: PostgresAddress) throws {
      connection = try PostgresConnection(address.parameters(first: 0), clock: RealClock())
    }

    func run(_ sql: String...) throws {
      for sql in sql { _ = try connection.run([PostgresCall(sql: sql)], within: PostgresSession.limit) }
    }
  }

  /// Waits until somebody at this database waits for a lock.
  private static func untilBlocked(_ open: OpenStore) async throws {
    let count = try #require(open.count)
    let blocked = """
      SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
      """
    let start = ContinuousClock.now
    while try count(blocked) == 0 {
      try #require(ContinuousClock.now - start < .seconds(120), "nobody waits for the lock")
      await Task.yield()
    }
  }

  /// Two that read a feed at once give each event one place, and what has one keeps it.
  @Test func aPlaceInTheFeedIsGivenOnce() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    let orders = (0..<3).map {
      StoreContractTests.order(merchant, "\($0)", at: StoreContractTests.now.advanced(by: .seconds(-60 * $0)))
    }
    try open.store.write(orders[0].changes)
    #expect(try await open.reading.feed(of: merchant, after: 0, limit: 10).events.map(\.position) == [1])
    try open.store.write(orders[1].changes)
    // Another node gives the second event its place, and is not done.
    let other = try Other(address)
    try other.run(
      "BEGIN", "SELECT id FROM numbering WHERE id = 1 FOR UPDATE",
      "INSERT INTO feed (merchant, position, spans) SELECT merchant, 2, spans FROM feed_queue",
      "DELETE FROM feed_queue")
    // Meanwhile one is committed that happened before it, by the clock of a node that is behind.
    try open.store.write(orders[2].changes)
    async let reading = open.reading.feed(of: merchant, after: 0, limit: 10)
    try await Self.untilBlocked(open)
    // Only now, since an insert beside it waits for this by itself, and for a lock it does not.
    try other.run("UPDATE feeds SET last = 2", "COMMIT")
    let feed = try await reading.events
    #expect(feed.map(\.position) == [1, 2, 3])
    #expect(feed.map(\.event.id.order) == orders.map(\.order.id))
    #expect(
      try await open.reading.feed(of: merchant, after: 2, limit: 10).events.map(\.event.id.order) == [
        orders[2].order.id
      ])
  }

  /// Whoever reads something else does not wait for who gives places.
  @Test func aReaderIsNotHeldUpByTheNumbering() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    let made = StoreContractTests.order(merchant, "a")
    try open.store.write(made.changes)
    let other = try Other(address)
    try other.run("BEGIN", "SELECT id FROM numbering WHERE id = 1 FOR UPDATE")
    // More readers of the feed than there are readers' threads.
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<4 { group.addTask { try await open.reading.feed(of: merchant, after: 0, limit: 10).events.count } }
      try await Self.untilBlocked(open)
      #expect(try await open.reading.order(made.order.id) == made.order)
      try other.run("COMMIT")
      for try await count in group { #expect(count == 1) }
    }
  }

  /// What several nodes with different clocks made of one order comes in the sequence in which it happened, and otherwise the
  /// oldest first.
  @Test func rowsOfOneOrderAreNumberedInItsSequence() {
    let orders = (0..<4).map { OrderID(bits: UInt128($0)) }
    func row(_ at: Int64, _ session: String, _ spans: (Int, Int)...) -> Queued {
      let spans = spans.map { FeedRow.Span(order: orders[$0.0], first: $0.1, count: 1) }
      return Queued(
        at: at, session: session, batch: 1, merchant: "m", count: Int64(spans.count), spans: FeedRow(spans).encoded)
    }
    func names(_ rows: [Queued]) -> [String] { Queued.inOrder(rows).map(\.session) }
    #expect(names([row(1, "a", (0, 1)), row(2, "b", (1, 1)), row(3, "c", (0, 2))]) == ["a", "b", "c"])
    #expect(names([row(1, "b", (0, 2), (1, 1)), row(1, "a", (0, 1), (2, 1)), row(2, "c", (3, 1))]) == ["a", "b", "c"])
    #expect(
      names([row(1, "c", (0, 3)), row(2, "b", (0, 2), (1, 2)), row(3, "a", (0, 1)), row(4, "d", (1, 3))])
        == ["a", "b", "c", "d"])
    #expect(names([]) == [])
  }

  /// One row that a newer release wrote holds up the readers of its own merchant, and nobody else.
  @Test func aRowThatCannotBeReadIsNumbered() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let (tea, coffee) = (
      try await StoreContractTests.merchant(open), try await StoreContractTests.merchant(open, "coffee")
    )
    for merchant in [tea, coffee] { try open.store.write(StoreContractTests.order(merchant, "a").changes) }
    try open.run("UPDATE feed_queue SET spans = '\\x00' WHERE merchant = '\(tea.text)'")
    #expect(try await open.reading.feed(of: coffee, after: 0, limit: 9).events.map(\.position) == [1])
    await #expect(throws: Fault.unavailable("a row of feed cannot be read")) {
      try await open.reading.feed(of: tea, after: 0, limit: 9)
    }
    // It took its place.
    try open.store.write(StoreContractTests.order(tea, "b").changes)
    #expect(try await open.reading.feed(of: tea, after: 1, limit: 9).events.map(\.position) == [2])
  }

  /// Where no places can be given now, what has one is shown.
  @Test func aFeedIsReadWithoutTheNumbering() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    try open.store.write(StoreContractTests.order(merchant, "a").changes)
    #expect(try await open.reading.feed(of: merchant, after: 0, limit: 9).events.map(\.position) == [1])
    try open.store.write(StoreContractTests.order(merchant, "b").changes)
    try open.run("ALTER TABLE numbering RENAME TO other")
    #expect(try await open.reading.feed(of: merchant, after: 0, limit: 9).events.map(\.position) == [1])
    try open.run("ALTER TABLE other RENAME TO numbering")
    #expect(try await open.reading.feed(of: merchant, after: 0, limit: 9).events.map(\.position) == [1, 2])
  }
}
