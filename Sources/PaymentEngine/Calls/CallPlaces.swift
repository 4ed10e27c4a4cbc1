import PaymentCore

/// The places for calls at one provider: how many are taken, for which orders one is kept, and who waits in line.
///
/// Three quarters of the places at most are taken by questions, so that a charge or a close finds one whatever is asked.
/// Where both wait in line, charges and closes go first, and after each seven of them one question.
struct CallPlaces {
  /// Places that are kept for an order while commands about it are under way: it is called up, or a call of it has come
  /// home and its next one takes over the place.
  private struct Claim {
    var commands = 0
    var kept: [Call.Priority] = []
    var isProbe = false
    /// What has its turn.
    var recalled: [Call.Subject] = []
  }

  /// For how long a call is put off that waits in line; longer where it has waited longer, up to `longest`. Its turn comes
  /// sooner as a rule. This is for a process that dies, and for what finds no place in the line.
  private static let shortest: Duration = .seconds(60)
  private static let longest: Duration = .seconds(15 * 60)
  private static let actingInTurn = 7

  private var breaker: Breaker
  private var line: CallLine
  private var claims: [OrderID: Claim] = [:]
  /// The places that are taken or kept.
  private var acting = 0
  private var asking = 0
  /// How many were called up to act since one was to ask.
  private var turn = 0

  /// - Parameters:
  ///   - limit: how many calls may be under way.
  ///   - waiting: how many orders may wait in line.
  init(limit: Int, waiting: Int) {
    breaker = Breaker(limit: limit)
    line = CallLine(limit: waiting)
  }

  /// Whether no call is under way, and no place kept.
  var isIdle: Bool { acting + asking == 0 }

  // MARK: One call

  /// Takes a place for a call, or lets it wait in line.
  /// - Returns: for how long to put it off; `nil` when it has its place.
  mutating func admit(_ call: Call, uptime: Duration) -> Duration? {
    if takeKept(call) || takeFree(call, uptime: uptime) {
      line.leave(call)
      return nil
    }
    let waited = line.join(call, uptime: uptime).map { uptime - $0 } ?? breaker.outage(uptime: uptime)
    return min(max(waited, Self.shortest), Self.longest)
  }

  private mutating func takeKept(_ call: Call) -> Bool {
    guard var claim = claims[call.payment.order], !claim.kept.isEmpty, !breaker.isOpen || claim.isProbe else {
      return false
    }
    let index = claim.kept.firstIndex(of: call.priority) ?? 0
    count(claim.kept.remove(at: index), -1)
    count(call.priority, 1)
    claims[call.payment.order] = claim
    return true
  }

  private mutating func takeFree(_ call: Call, uptime: Duration) -> Bool {
    guard breaker.allows(uptime: uptime), hasRoom(call.priority) else { return false }
    breaker.begin()
    count(call.priority, 1)
    return true
  }

  /// Whether there is a free place; while the breaker is open, it alone counts.
  private func hasRoom(_ priority: Call.Priority) -> Bool {
    if breaker.isOpen { return true }
    let width = breaker.width
    guard acting + asking < width else { return false }
    return priority == .acting || asking < max(1, width - (width + 3) / 4)
  }

  private mutating func count(_ priority: Call.Priority, _ change: Int) {
    if priority == .acting { acting += change } else { asking += change }
  }

  /// A call that had its place is not made.
  mutating func release(_ call: Call) {
    breaker.abandon()
    let order = call.payment.order
    if let claim = claims[order], claim.kept.count < claim.commands {
      claims[order]!.kept.append(call.priority)
    } else {
      count(call.priority, -1)
    }
  }

  /// A call came home. Its place is kept for its order until `settle`: so what comes next is not stopped half-way, and
  /// evidence that waits for the store is bounded, too.
  /// - Parameter isAnswer: whether the provider answered; `nil` for a call that was not made.
  mutating func land(_ call: Call, isAnswer: Bool?, uptime: Duration) {
    if let isAnswer { breaker.record(isAnswer: isAnswer, uptime: uptime) } else { breaker.abandon() }
    var claim = claims[call.payment.order] ?? Claim()
    claim.commands += 1
    claim.kept.append(call.priority)
    claim.isProbe = false
    claims[call.payment.order] = claim
  }

  /// A command for which a place was kept is done: what is left of it is free.
  mutating func settle(_ order: OrderID) {
    guard var claim = claims[order] else { return }
    claim.commands -= 1
    while claim.kept.count > claim.commands {
      count(claim.kept.removeLast(), -1)
      if claim.isProbe { breaker.abandon() }
    }
    claims[order] = claim.commands == 0 ? nil : claim
  }

  // MARK: The line

  /// Calls up the next order in line, and keeps a place for it until `settle`; `nil` when nobody waits, or no place is free.
  mutating func callUp(uptime: Duration) -> OrderID? {
    guard breaker.allows(uptime: uptime), let priority = nextPriority(), let next = line.popFirst(priority) else {
      return nil
    }
    turn = priority == .acting ? turn + 1 : 0
    var claim = claims[next.order] ?? Claim()
    claim.commands += 1
    claim.kept.append(priority)
    claim.isProbe = breaker.isOpen
    claim.recalled += next.subjects
    claims[next.order] = claim
    breaker.begin()
    count(priority, 1)
    return next.order
  }

  private func nextPriority() -> Call.Priority? {
    let canAct = !line.hasNone(.acting) && hasRoom(.acting)
    let canAsk = !line.hasNone(.asking) && hasRoom(.asking)
    // What finds out whether the provider is back may remain without an answer. For a question that is no harm.
    if canAsk, !canAct || breaker.isOpen || turn >= Self.actingInTurn { return .asking }
    return canAct ? .acting : nil
  }

  /// What of an order has its turn.
  func recalled(_ order: OrderID) -> [Call.Subject] { claims[order]?.recalled ?? [] }

  /// Sends away so many of those in line, whose turn will not come any more. No place is kept for them.
  mutating func dismiss(_ count: Int) -> [OrderID] {
    (0..<count).compactMap { _ in
      guard let next = line.popFirst(.acting) ?? line.popFirst(.asking) else { return nil }
      claims[next.order, default: Claim()].commands += 1
      claims[next.order]!.recalled += next.subjects
      return next.order
    }
  }
}
