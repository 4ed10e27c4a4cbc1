package import PaymentCore

/// The spans of time and the bounds that the engine goes by, in one value, since they have to fit together.
package struct Limits: Sendable {
  package var schedule = Schedule()
  /// How long anybody waits for a store that hangs.
  package var storePatience: Duration = .seconds(10)
  /// How many commands may wait for their lane; one more gets `Fault.overloaded`. Evidence and sweeps have as many
  /// places again, so that what is under way can end when nothing new is let in.
  package var queue = 4096
  /// How many commands, or due orders, share a transaction.
  package var batch = 256
  /// How many calls to one provider may be under way at once.
  package var calls = 256
  /// How many orders may wait in line for a place at one provider. More come back by themselves.
  package var waitingCalls = 16_384
  /// The pause between two looks at what is due.
  package var sweepInterval: Duration = .milliseconds(200)
  /// Most looks begin where the last one ended, and this much before, since a wake can be stored a little after its time, by
  /// a node whose clock is behind.
  package var sweepOverlap: Duration = .seconds(30)
  /// How often all that is due is looked at, also what stays due: what cannot be read, or what others held.
  package var wholeSweepInterval: Duration = .seconds(60)
  /// How often a shared store is asked for what other nodes did.
  package var pollInterval: Duration = .milliseconds(500)
  /// How many may wait for changes.
  package var places = Listeners.Places()

  package init() {}
}
