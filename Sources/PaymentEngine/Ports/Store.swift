/// Where orders are kept, as one lane writes them, on the lane's own thread.
package protocol Store: Sendable {
  /// One transaction: loads the orders in these scopes, each once, and locks them; has `decide` say what is to be written;
  /// writes it, all or none, and returns when it is durable. An order that cannot be read, or that others hold, does not
  /// keep the others from being loaded.
  /// - Parameter decide: called once at most. It is synchronous and does not use the store.
  /// - Returns: what `decide` answers.
  /// - Throws: what `decide` throws, or the store's own fault; `contested` where it knows whose rows have changed since.
  ///   Nothing is written then, unless it is `unknownCommit`.
  func transact<Answer: Sendable>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer
}

extension Store {
  /// What is in these scopes, in a transaction that changes nothing.
  package func find(_ scopes: [Scope]) throws(Fault) -> Loaded { try transact(scopes) { (Changeset(), $0) } }

  /// Writes what was decided elsewhere.
  package func write(_ changes: Changeset) throws(Fault) { try transact([]) { _ in (changes, ()) } }
}
