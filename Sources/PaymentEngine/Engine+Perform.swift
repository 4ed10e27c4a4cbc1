package import PaymentCore

/// How the rooms before the engine use it: they send a command, and wait for what comes of it.
extension Engine {
  /// Sends a command through the one door.
  /// - Throws: the refusal, or the fault.
  package func perform(_ command: Command, by caller: Caller) async throws -> Reply {
    try await journal.submit(command, by: caller).get()
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
    guard let id = command.order else { preconditionFailure("nobody waits for an order that has no id yet") }
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
    let id = OrderID(
      at: clock.now(), merchant: registration.merchant, reference: registration.reference, random: randomness.next())
    let command = Command.register(registration, id: id, checkoutSecret: randomness.next128())
    guard case .order(let order, let isRepeat) = try await perform(command, by: .payOnce) else {
      preconditionFailure("a registration is answered with its order")
    }
    return (order, isRepeat)
  }
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
