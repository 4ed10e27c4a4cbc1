package import PaymentCore

/// Our machine broke: nothing is said about money. The caller may send the same request again.
package enum Fault: Error, Hashable, Sendable {
  /// What was read does not hold any more, mostly since another node wrote it: decide again.
  case conflict
  /// The same, of these orders alone: the rest of the batch can be written without them.
  case contested([OrderID])
  /// The store cannot be reached or written. The text is for the log; it names no data.
  case unavailable(String)
  /// The commit was sent and not acknowledged: it may have happened.
  case unknownCommit
  /// As much is under way as this process takes at once.
  case overloaded
  /// The clock of this machine cannot be relied on, so that nothing is decided here.
  case clockWrong

  /// For a person to read.
  package var reason: String { if case .unavailable(let reason) = self { reason } else { "\(self)" } }
}
