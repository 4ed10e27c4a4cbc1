import NIOCore
import Synchronization

/// One connection, as the table sees it.
final class Connection: Sendable {
  private static let isBusy = UInt64.max
  private let channel: any Channel
  private let waiting: Atomic<UInt64>

  init(_ channel: any Channel, since now: NIODeadline) {
    self.channel = channel
    waiting = Atomic(now.uptimeNanoseconds)
  }

  /// The time since which it is the client's turn, in nanoseconds of uptime; `nil` while it is ours.
  var waitingSince: UInt64? {
    get {
      let time = waiting.load(ordering: .relaxed)
      return time == Self.isBusy ? nil : time
    }
    set { waiting.store(newValue ?? Self.isBusy, ordering: .relaxed) }
  }

  /// Asks the connection to end. It stays open if it has become busy meanwhile.
  func giveWay() { channel.pipeline.fireUserInboundEventTriggered(GiveWay()) }
}

/// Tells a connection to end if it is its client's turn.
struct GiveWay: Sendable {}

/// The connections of one server. When all places are taken, the connections that have waited longest for their client
/// end. So nobody is kept out by a client that holds many connections and asks for nothing.
final class ConnectionTable: Sendable {
  private let places: Int
  private let open = Mutex<[ObjectIdentifier: Connection]>([:])

  init(places: Int) { self.places = places }

  /// Adds a connection, also when there is no place for it.
  /// - Returns: whether there is a place; false when every other connection is being answered.
  func admit(_ connection: Connection) -> Bool {
    let leaving: [Connection]? = open.withLock { open in
      defer { open[ObjectIdentifier(connection)] = connection }
      guard open.count >= places else { return [] }
      let waiting = open.values.compactMap { other in other.waitingSince.map { (since: $0, connection: other) } }
      guard !waiting.isEmpty else { return nil }
      // A sixteenth ends at once, so that not every newcomer has to look through all of them.
      let oldest = waiting.sorted { $0.since < $1.since }.prefix(max(1, places / 16)).map(\.connection)
      for other in oldest { open[ObjectIdentifier(other)] = nil }
      return oldest
    }
    for other in leaving ?? [] { other.giveWay() }
    return leaving != nil
  }

  /// Adds a connection again that was told to give way and had become busy.
  func readmit(_ connection: Connection) { open.withLock { $0[ObjectIdentifier(connection)] = connection } }

  func remove(_ connection: Connection) { open.withLock { $0[ObjectIdentifier(connection)] = nil } }

  var count: Int { open.withLock { $0.count } }
}
