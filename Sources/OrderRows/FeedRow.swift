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

  package var count: Int { spans.reduce(0) { $0 + $1.count } }

  package var encoded: [UInt8] {
    var writer = StateWriter(origin: Instant(milliseconds: 0))
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
      var spans: [Span] = []
      while let _: FeedField = try reader.next() { spans.append(try Span(try reader.message())) }
      guard !spans.isEmpty else { throw reader.unreadable }
      return spans
    }
  }

  package init(_ spans: [Span]) { self.spans = spans }

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
  private let after: Int64
  private let limit: Int

  package init(after: Int64, limit: Int) {
    self.after = after
    self.limit = limit
  }

  /// - Parameter row: of `FeedRow.page(_:after:count:)`.
  package mutating func add(_ row: some ResultRow) throws {
    guard let last = row.integer(at: 0), let bytes = row.bytes(at: 1) else { throw UnreadableRow(table: "feed") }
    let feed = try FeedRow(bytes)
    var start = last - Int64(feed.count) + 1
    for span in feed.spans {
      if start + Int64(span.count) - 1 > after, start <= after + Int64(limit) {
        spans.append((start, span))
        wanted.append((span.order, span.first))
      }
      start += Int64(span.count)
    }
  }

  /// - Parameter packs: of `wanted`, by the order and the number of the first event.
  /// - Throws: `UnreadableRow` where one is not there.
  package func events(_ packs: (OrderID, Int) throws -> EventPack?) throws -> [(position: Int64, event: Event)] {
    var events: [(position: Int64, event: Event)] = []
    for (start, span) in spans {
      guard let pack = try packs(span.order, span.first), pack.events.count == span.count else {
        throw UnreadableRow(table: "events")
      }
      for (index, event) in pack.events.enumerated() where start + Int64(index) > after {
        events.append((start + Int64(index), event))
      }
    }
    return Array(events.prefix(limit))
  }
}

extension Changeset {
  /// What is added to each merchant's feed, and the latest moment of it, in the sequence of the merchants' first events.
  package var feeds: [(merchant: MerchantID, at: Instant, row: FeedRow)] {
    var (places, feeds): ([MerchantID: Int], [(merchant: MerchantID, at: Instant, spans: [FeedRow.Span])]) = ([:], [])
    for (merchant, pack) in eventPacks {
      let span = FeedRow.Span(order: pack.order, first: pack.first, count: pack.events.count)
      let at = pack.events.last!.at
      if let place = places[merchant] {
        feeds[place].spans.append(span)
        feeds[place].at = max(feeds[place].at, at)
      } else {
        places[merchant] = feeds.count
        feeds.append((merchant, at, [span]))
      }
    }
    return feeds.map { ($0.merchant, $0.at, FeedRow($0.spans)) }
  }
}
