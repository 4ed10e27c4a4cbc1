package import PaymentCore

/// The time, as far as the engine needs it. Only the `payonce` program and the simulation have one.
package protocol Clock: Sendable {
  func now() -> Instant
  /// Time since some moment in this process; never set back.
  func uptime() -> Duration
  /// Whether the system says that its clock is kept right by others. Asked when the time has jumped.
  func isSynchronized() -> Bool
  /// - Throws: `CancellationError` when the task is cancelled.
  func sleep(for duration: Duration) async throws
}
