package import PaymentCore

/// The one door to the orders: every command goes through here, and nothing is changed beside it.
package struct Journal: Sendable {
  package let lanes: [Lane]

  /// - Precondition: there is at least one lane.
  package init(lanes: [Lane]) {
    precondition(!lanes.isEmpty, "a journal has at least one lane")
    self.lanes = lanes
  }

  /// Decides about a command and returns when what came of it is durable.
  /// - Throws: `Fault.overloaded` at once when the lane's queue is full; another fault when the store failed. Then
  ///   nothing is known to have changed, and the same command may be sent again.
  package func submit(_ command: Command, by caller: Caller = .payOnce) async throws(Fault) -> Outcome {
    let bits =
      switch command {
      case .register(let registration, _, _):
        OrderID.laneBits(merchant: registration.merchant, reference: registration.reference)
      default: command.order?.laneBits ?? 0
      }
    let result = await lanes[bits % lanes.count].submit(.command(command, by: caller))
    guard case .outcome(let outcome) = try result.get() else {
      preconditionFailure("a command is answered with its outcome")
    }
    return outcome
  }

  /// Looks at orders that are due, at most `limit`.
  /// - Returns: how many there were.
  package func sweep(limit: Int) async throws(Fault) -> Int {
    guard case .swept(let count) = try await lanes[0].submit(.sweep(limit: limit)).get() else {
      preconditionFailure("a sweep is answered with a count")
    }
    return count
  }

  /// Writes something to the store, and returns when it is durable: the proof that orders could be written, too.
  package func probe() async throws(Fault) { for lane in lanes { _ = try await lane.submit(.probe).get() } }

  /// Takes no more commands; what is queued is still decided.
  package func close() { for lane in lanes { lane.close() } }
}
