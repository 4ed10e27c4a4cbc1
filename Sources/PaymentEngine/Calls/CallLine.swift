import PaymentCore

/// Who waits for a place at a provider, in the sequence in which they came. It is only a reminder: each order in it is put
/// off in the store as well, and comes back by itself if the line is forgotten.
struct CallLine {
  private struct Entry {
    let ticket: Int
    let priority: Call.Priority
    let since: Duration
    var subjects: [Call.Subject]
  }
  private struct Queue {
    /// The tickets, the oldest first, also of those that have left.
    var tickets: [(order: OrderID, ticket: Int)] = []
    /// How many of them were called up.
    var head = 0
    /// How many orders wait.
    var count = 0

    mutating func popTicket() -> (order: OrderID, ticket: Int)? {
      guard head < tickets.count else { return nil }
      head += 1
      return tickets[head - 1]
    }
  }

  private let limit: Int
  private var entries: [OrderID: Entry] = [:]
  private var acting = Queue()
  private var asking = Queue()
  private var next = 0

  /// - Parameter limit: how many orders may wait.
  init(limit: Int) { self.limit = limit }

  var isEmpty: Bool { entries.isEmpty }

  /// How many tickets it keeps.
  var length: Int { acting.tickets.count + asking.tickets.count }

  func hasNone(_ priority: Call.Priority) -> Bool { (priority == .acting ? acting : asking).count == 0 }

  /// Waits for a call's turn, once however often it comes.
  /// - Returns: since when its order has waited; `nil` when the line is full.
  mutating func join(_ call: Call, uptime: Duration) -> Duration? {
    let order = call.payment.order
    guard var entry = entries[order] else {
      guard entries.count < limit else { return nil }
      append(order, call.priority, since: uptime, [call.subject])
      return uptime
    }
    if !entry.subjects.contains(call.subject) { entry.subjects.append(call.subject) }
    if entry.priority == .asking, call.priority == .acting {
      asking.count -= 1
      append(order, .acting, since: entry.since, entry.subjects)
    } else {
      entries[order] = entry
    }
    return entry.since
  }

  private mutating func append(
    _ order: OrderID, _ priority: Call.Priority, since: Duration, _ subjects: [Call.Subject]
  ) {
    next += 1
    entries[order] = Entry(ticket: next, priority: priority, since: since, subjects: subjects)
    let ticket = next
    change(priority) { queue in
      queue.tickets.append((order, ticket))
      queue.count += 1
    }
    compact(priority)
  }

  /// A call is made before its turn, and does not wait any more.
  mutating func leave(_ call: Call) {
    let order = call.payment.order
    guard var entry = entries[order] else { return }
    entry.subjects.removeAll { $0 == call.subject }
    entries[order] = entry.subjects.isEmpty ? nil : entry
    if entry.subjects.isEmpty { change(entry.priority) { $0.count -= 1 } }
  }

  /// The order that has waited longest, and what of it waits.
  mutating func popFirst(_ priority: Call.Priority) -> (order: OrderID, subjects: [Call.Subject])? {
    while let (order, ticket) = change(priority, { $0.popTicket() }) {
      guard let entry = entries[order], entry.ticket == ticket else { continue }
      entries[order] = nil
      change(priority) { $0.count -= 1 }
      return (order, entry.subjects)
    }
    return nil
  }

  /// Forgets the tickets of those that have left, once they are more than the others.
  private mutating func compact(_ priority: Call.Priority) {
    let queue = priority == .acting ? acting : asking
    guard queue.tickets.count > 2 * queue.count + 64 else { return }
    let left = queue.tickets[queue.head...].filter { entries[$0.order]?.ticket == $0.ticket }
    change(priority) { ($0.tickets, $0.head) = (left, 0) }
  }

  @discardableResult
  private mutating func change<Value>(_ priority: Call.Priority, _ body: (inout Queue) -> Value) -> Value {
    priority == .acting ? body(&acting) : body(&asking)
  }
}
