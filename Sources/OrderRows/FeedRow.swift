package import PaymentCore
package import PaymentEngine

/// What a commit adds to the feed of one merchant: which events, and not what they say.
package struct FeedRow: Equatable, Sendable {
  /// Some events of one order that follow one another.
  package struct Span: Equatable, Sendable {
    package let order: OrderID
    /// The number of the first one within its order.
    package let first: Int
    package let count: Int

    package init(order: OrderID, first: Int, count: Int) {
      self.order = order
      self.first = first
      self.count = count
    }
  }
  package let spans: [Span]

  private static let format = 1

  package var count: Int { spans.reduce(0) { $0 + $1.count } }

  package var encoded: [UInt8] {
    var writer = StateWriter(origin: Instant(milliseconds: 0))
    writer.count(FeedField.format, Self.format)
    for span in spans {
      writer.message(FeedField.spans) { writer in
        writer.bytes(SpanField.order, span.order.bits.bytes)
        writer.integer(SpanField.first, span.first)
        writer.integer(SpanField.count, span.count)
      }
    }
    return writer.bytes
  }

  /// - Throws: `UnreadableRow` where anything of it is not understood.
  package init(_ bytes: [UInt8]) throws {
    spans = try bytes.withUnsafeBytes { bytes in
      var reader = StateReader(bytes, table: "feed")
      guard case .format = try reader.next() as FeedField?, try reader.count() == Self.format else {
        throw reader.unreadable
      }
      var spans: [Span] = []
      while let _: FeedField = try reader.next() { spans.append(try Span(try reader.message())) }
      guard !spans.isEmpty else { throw reader.unreadable }
      return spans
    }
  }

  package init(_ spans: [Span]) { self.spans = spans }

  /// Far more than there will ever be, and so few that sums of positions and limits do not overflow.
  package static let lastPosition = Int64.max / 2

  /// The rows of a merchant's feed that hold the events behind a position, at most so many and a little more. A row stands
  /// at the position of its last event.
  package static func page(_ merchant: String, after: String, count: String) -> String {
    """
    SELECT position, spans FROM feed WHERE merchant = \(merchant) AND position > \(after) AND position <= coalesce(
      (SELECT min(position) FROM feed WHERE merchant = \(merchant) AND position >= \(after) + \(count)),
      9223372036854775807)
    ORDER BY position
    """
  }
}

extension FeedRow.Span {
  fileprivate init(_ source: StateReader) throws {
    var reader = source
    guard case .order = try reader.next() as SpanField?, let bits = UInt128(bytes: try reader.bytes()),
      case .first = try reader.next() as SpanField?
    else { throw reader.unreadable }
    let first = try reader.integer()
    guard case .count = try reader.next() as SpanField? else { throw reader.unreadable }
    let count = try reader.integer()
    guard first >= 1, count >= 1, count <= Int64(EventID.maximumSequence),
      first + count - 1 <= Int64(EventID.maximumSequence), try reader.next() as SpanField? == nil
    else { throw reader.unreadable }
    self.init(order: OrderID(bits: bits), first: Int(first), count: Int(count))
  }
}

/// A page of a feed as it is put together: from its rows, and from the events that they name.
package struct FeedPage {
  /// Which events are wanted, by the order and the number of the first one of their row.
  package private(set) var wanted: [(order: OrderID, first: Int)] = []
  private var spans: [(start: Int64, span: FeedRow.Span)] = []
  /// Where the first row begins, if there is one.
  private var start: Int64?
  /// Behind which position it begins.
  package let after: Int64
  private let limit: Int

  /// - Parameters:
  ///   - after: any number. Behind the last position there are no events.
  ///   - limit: at least 1.
  package init(after: Int64, limit: Int) {
    self.after = min(after, FeedRow.lastPosition)
    self.limit = limit
  }

  /// - Parameter row: of `FeedRow.page(_:after:count:)`.
  package mutating func add(_ row: some ResultRow) throws {
    guard let last = row.integer(at: 0), (1...FeedRow.lastPosition).contains(last), let bytes = row.bytes(at: 1) else {
      throw UnreadableRow(table: "feed")
    }
    let feed = try FeedRow(bytes)
    var start = last - Int64(feed.count) + 1
    if self.start == nil { self.start = start }
    for span in feed.spans {
      if start + Int64(span.count) - 1 > after, start <= after + Int64(limit) {
        spans.append((start, span))
        wanted.append((span.order, span.first))
      }
      start += Int64(span.count)
    }
  }

  /// What was moved into an archive is never left out without a word: the page ends before it, or says so.
  /// - Parameters:
  ///   - packs: of `wanted`, by the order and the number of the first event.
  ///   - isArchived: whether an order was moved into an archive.
  /// - Throws: `UnreadableRow` where events are not there.
  package func feed(
    _ packs: (OrderID, Int) throws -> EventPack?, isArchived: (OrderID) throws -> Bool
  ) throws -> Feed {
    // There are no gaps, so what is missing before the first row was taken out.
    if let start, start > after + 1 { return Feed([], archivedTo: start - 1) }
    var events: [(position: Int64, event: Event)] = []
    var archivedTo: Int64?
    for (start, span) in spans {
      let end = start + Int64(span.count) - 1
      guard let pack = try packs(span.order, span.first) else {
        guard try isArchived(span.order) else { throw UnreadableRow(table: "events") }
        guard events.isEmpty else { break }
        archivedTo = end
        continue
      }
      guard archivedTo == nil else { break }
      guard pack.events.count == span.count else { throw UnreadableRow(table: "events") }
      for position in max(start, after + 1)...min(end, after + Int64(limit)) {
        events.append((position, pack.events[Int(position - start)]))
      }
    }
    return Feed(events, archivedTo: archivedTo)
  }
}

extension Changeset {
  /// What is added to each merchant's feed at each moment. An order's time does not run backwards, so that rows in the
  /// sequence of their moments have its events in theirs. The moments of a commit differ only where an order was changed last
  /// by a node whose clock is ahead.
  static func feeds(
    _ packs: [(merchant: MerchantID, pack: EventPack)]
  ) -> [(merchant: MerchantID, at: Instant, row: FeedRow)] {
    struct Place: Hashable {
      let merchant: MerchantID
      let at: Instant
    }
    var (indexes, feeds): ([Place: Int], [(place: Place, spans: [FeedRow.Span])]) = ([:], [])
    for (merchant, pack) in packs {
      let span = FeedRow.Span(order: pack.order, first: pack.first, count: pack.events.count)
      let place = Place(merchant: merchant, at: pack.events.last!.at)
      if let index = indexes[place] {
        feeds[index].spans.append(span)
      } else {
        indexes[place] = feeds.count
        feeds.append((place, [span]))
      }
    }
    return feeds.map { ($0.place.merchant, $0.place.at, FeedRow($0.spans)) }
  }
}
