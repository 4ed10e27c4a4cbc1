package import PaymentCore

/// The one door to the orders: every command goes through here, and nothing is changed beside it.
package struct Journal: Sendable {
  package let lanes: [Lane]
  private let listeners: Listeners
  private let numbering: Numbering
  private let clock: any Clock

  /// - Precondition: there is at least one lane.
  init(lanes: [Lane], listeners: Listeners, numbering: Numbering, clock: any Clock) {
    precondition(!lanes.isEmpty, "a journal has at least one lane")
    self.lanes = lanes
    self.listeners = listeners
    self.numbering = numbering
    self.clock = clock
  }

  // MARK: Commands

  /// Decides about a command and returns when what came of it is durable. A command whose order others hold, or have just
  /// changed, is sent again a little later, up to `repeats` times: it waits here, and no lane waits for it.
  /// - Throws: `Fault.overloaded` at once when the lane's queue is full; another fault when the store failed. Then
  ///   nothing is known to have changed, and the same command may be sent again.
  package func submit(_ command: Command, by caller: Caller) async throws(Fault) -> Outcome {
    for repeated in 0..<Self.repeats {
      do throws(Fault) { return try await submitOnce(command, by: caller) } catch .conflict {
        // Whoever holds an order that is to be woken has woken it.
        if case .wake = command { throw .conflict }
        guard (try? await clock.sleep(for: min(Self.firstPause * (1 << repeated), Self.longestPause))) != nil else {
          throw .conflict
        }
      }
    }
    return try await submitOnce(command, by: caller)
  }

  /// The pauses between are 10 ms, doubling to half a second: three seconds in all.
  private static let repeats = 11
  private static let firstPause: Duration = .milliseconds(10)
  private static let longestPause: Duration = .milliseconds(500)

  private func submitOnce(_ command: Command, by caller: Caller) async throws(Fault) -> Outcome {
    let result = await lanes[command.name.laneBits % lanes.count].submit(.command(command, by: caller))
    guard case .outcome(let outcome) = try result.get() else {
      preconditionFailure("a command is answered with its outcome")
    }
    return outcome
  }

  /// Sends a command through the one door.
  /// - Throws: the refusal, or the fault.
  package func perform(_ command: Command, by caller: Caller) async throws -> Reply {
    try await submit(command, by: caller).get()
  }

  /// Sends a command about an order, and waits until the order meets a condition.
  /// - Parameters:
  ///   - wait: how long at most; the command itself is not cut short.
  ///   - isMet: is given what the command was answered with, and the order as it is now.
  /// - Returns: what the command was answered with, and the order once the condition is met or the time is over.
  /// - Throws: the refusal, or the fault.
  package func perform(
    _ command: Command, by caller: Caller, within wait: Duration,
    until isMet: @escaping @Sendable (_ reply: Reply, _ now: Order) -> Bool
  ) async throws -> (reply: Reply, order: Order) {
    guard case .id(let id) = command.name else { preconditionFailure("nobody waits for an order that has no id yet") }
    // Listening begins first, so that no change is missed between the answer and the wait.
    return try await listeners.withSubscription(to: id) { subscription in
      let reply = try await perform(command, by: caller)
      guard let order = reply.order else { preconditionFailure("nobody waits for what is only noted") }
      subscription.begin(with: order)
      return (reply, await subscription.first(within: wait) { isMet(reply, $0) } ?? order)
    }
  }

  /// Registers an order, or finds the one that was registered with the same content.
  /// - Throws: the refusal, or the fault.
  package func register(
    _ registration: Order.Registration, _ randomness: any Randomness
  ) async throws -> (order: Order, isRepeat: Bool) {
    let number = numbering.order(registration)
    let id = OrderID(at: clock.now(), number: number, random: randomness.next())
    let command = Command.register(registration, number: number, id: id, checkoutSecret: randomness.next128())
    guard case .order(let order, let isRepeat) = try await perform(command, by: .payOnce) else {
      preconditionFailure("a registration is answered with its order")
    }
    return (order, isRepeat)
  }

  // MARK: What is due

  /// Looks at those orders of a lane that are due, at most `limit`, beginning behind a place.
  /// - Returns: how many there were, and where the next ones begin, if there may be more.
  package func sweep(
    _ lane: Lane, after place: WakePlace? = nil, limit: Int
  ) async throws(Fault) -> (count: Int, next: WakePlace?) {
    try await Self.look(.sweep(after: place, limit: limit), lane)
  }

  /// Voids the leases of a process that is known to be dead and was the only one on this store. Its unanswered calls
  /// are asked about now instead of when its leases lapse. Call it before this process makes any call.
  /// - Parameter horizon: how long, from now, a call that moves money can be leaving.
  /// - Returns: how many orders had a lease, or a call that might still be leaving.
  package func recover(within horizon: Duration, now: Instant) async throws(Fault) -> Int {
    var count = 0
    for lane in lanes {
      var place: WakePlace?
      repeat {
        let work = Lane.Work.recover(until: now.advanced(by: horizon), after: place, limit: Self.recoveryLimit)
        let some = try await Self.look(work, lane)
        count += some.count
        place = some.next
      } while place != nil
    }
    return count
  }

  private static let recoveryLimit = 2000

  private static func look(
    _ work: Lane.Work, _ lane: Lane
  ) async throws(Fault) -> (count: Int, next: WakePlace?) {
    guard case .swept(let count, let next) = try await lane.submit(work).get() else {
      preconditionFailure("a look at due orders is answered with a count")
    }
    return (count, next)
  }

  /// Writes something to the store, and returns when it is durable: the proof that orders could be written, too.
  package func probe() async throws(Fault) { for lane in lanes { _ = try await lane.submit(.probe).get() } }

  /// Takes no more commands; what is queued is still decided.
  package func close() { for lane in lanes { lane.close() } }
}

extension Randomness {
  package func next128() -> UInt128 { UInt128(next()) << 64 | UInt128(next()) }
}

extension Reply {
  fileprivate var order: Order? {
    switch self {
    case .order(let order, _), .payment(_, let order, _), .refund(_, let order, _): order
    case .noted: nil
    }
  }
}
