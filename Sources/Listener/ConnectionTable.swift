import NIOCore
import Synchronization

/// One connection, as the others see it.
final class Connection: Sendable {
  private static let isBusy = UInt64.max
  private let channel: any Channel
  private let waiting: Atomic<UInt64>

  init(_ channel: any Channel, since now: NIODeadline) {
    self.channel = channel
    waiting = Atomic(now.uptimeNanoseconds)
  }

  /// Since when it is the client's turn, in nanoseconds; `nil` while it is ours.
  var waitingSince: UInt64? {
    get {
      let time = waiting.load(ordering: .relaxed)
      return time == Self.isBusy ? nil : time
    }
    set { waiting.store(newValue ?? Self.isBusy, ordering: .relaxed) }
  }

  /// Asks it to end, unless it has become busy meanwhile.
  func giveWay() { channel.pipeline.fireUserInboundEventTriggered(GiveWay()) }
}

/// The connection is to end if it is its client's turn.
struct GiveWay: Sendable {}

/// The connections of one server. When it is full, those give way for whose client we have waited longest: whoever holds
/// many connections and asks for nothing keeps nobody out.
final class ConnectionTable: Sendable {
  private let places: Int
  private let open = Mutex<[ObjectIdentifier: Connection]>([:])

  init(places: Int) { self.places = places }

  /// Takes a connection in.
  /// - Returns: whether there is a place for it: false when all others are being answered.
  func admit(_ connection: Connection) -> Bool {
    let leaving: [Connection]? = open.withLock { open in
      defer { open[ObjectIdentifier(connection)] = connection }
      guard open.count >= places else { return [] }
      let waiting = open.values.compactMap { other in other.waitingSince.map { (since: $0, connection: other) } }
      guard !waiting.isEmpty else { return nil }
      // Some at once, so that not every newcomer looks through all of them.
      let oldest = waiting.sorted { $0.since < $1.since }.prefix(max(1, places / 16)).map(\.connection)
      for other in oldest { open[ObjectIdentifier(other)] = nil }
      return oldest
    }
    for other in leaving ?? [] { other.giveWay() }
    return leaving != nil
  }

  /// Takes one in again that was to give way and has become busy.
  func readmit(_ connection: Connection) { open.withLock { $0[ObjectIdentifier(connection)] = connection } }

  func remove(_ connection: Connection) { open.withLock { $0[ObjectIdentifier(connection)] = nil } }

  var count: Int { open.withLock { $0.count } }
}
