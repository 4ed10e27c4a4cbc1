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

  /// An order is read as it was at one moment: its own row is not an older one's than those of its parts.
  @Test func anOrderAndItsPartsAreOfOneMoment() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let made = StoreContractTests.order(try await StoreContractTests.merchant(open), "a")
    try open.store.write(made.changes)
    let paying = StoreContractTests.pay(made.order, "k")
    try open.store.write(paying.changes)

    // Whoever reads has the order's row, and waits for its payments, while both are written.
    let writer = try Other(address)
    try writer.run("BEGIN", "LOCK TABLE payments IN ACCESS EXCLUSIVE MODE")
    async let reading = open.reading.order(paying.order.id)
    try await Self.untilBlocked(open)
    try writer.run(
      "UPDATE orders SET version = version + 1, updated_at = updated_at + 1",
      "UPDATE payments SET provider_reference = 'new', updated_at = updated_at + 1", "COMMIT")
    #expect(try await reading == paying.order)
    let now = try #require(try await open.reading.order(paying.order.id))
    #expect(now.version == paying.order.version + 1 && now.payments[0].providerReference == "new")
  }

  /// Two that read a feed at once give each event one place, and what has one keeps it.
  @Test func aPlaceInTheFeedIsGivenOnce() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    let (first, earlier) = (
      StoreContractTests.order(merchant, "first"),
      StoreContractTests.order(merchant, "earlier", at: StoreContractTests.now.advanced(by: .seconds(-60)))
    )
    try open.store.write(first.changes)
    // Another reader gives the first event its place, and is not done.
    let other = try Other(address)
    try other.run(
      "BEGIN", "INSERT INTO feeds (merchant, last) VALUES ('\(merchant.text)', 0)",
      "SELECT last FROM feeds WHERE merchant = '\(merchant.text)' FOR UPDATE", "UPDATE events SET position = 1",
      "UPDATE feeds SET last = 1")
    // Meanwhile one is committed that happened before it, by the clock of a node that is behind.
    try open.store.write(earlier.changes)
    async let reading = open.reading.feed(of: merchant, after: 0, limit: 10)
    try await Self.untilBlocked(open)
    try other.run("COMMIT")
    let feed = try await reading
    #expect(feed.map(\.position) == [1, 2])
    #expect(feed.map(\.event.id.order) == [first.order.id, earlier.order.id])
    #expect(try await open.reading.feed(of: merchant, after: 1, limit: 10).map(\.event.id.order) == [earlier.order.id])
  }

  /// The same with the feed's row there already, as it is but for a merchant's first event.
  @Test func whoReadsAFeedWaitsForWhoGivesPlaces() async throws {
    let address = try StoreKind.newPostgres()
    let open = StoreKind.openPostgres(address)
    let merchant = try await StoreContractTests.merchant(open)
    let orders = (0..<3).map {
      StoreContractTests.order(merchant, "\($0)", at: StoreContractTests.now.advanced(by: .seconds(-60 * $0)))
    }
    try open.store.write(orders[0].changes)
    #expect(try await open.reading.feed(of: merchant, after: 0, limit: 10).map(\.position) == [1])
    try open.store.write(orders[1].changes)
    let other = try Other(address)
    try other.run(
      "BEGIN", "SELECT last FROM feeds FOR UPDATE", "UPDATE events SET position = 2 WHERE position IS NULL")
    try open.store.write(orders[2].changes)
    async let reading = open.reading.feed(of: merchant, after: 0, limit: 10)
    try await Self.untilBlocked(open)
    // Only now, since an insert beside it waits for this by itself, and for a lock it does not.
    try other.run("UPDATE feeds SET last = 2", "COMMIT")
    let feed = try await reading
    #expect(feed.map(\.position) == [1, 2, 3])
    #expect(feed.map(\.event.id.order) == orders.map(\.order.id))
  }
}
