package import PaymentCore
package import PaymentEngine

extension Reading {
  /// An order as this caller may see it.
  /// - Throws: that it is not found, or the fault.
  package func order(_ id: OrderID, for caller: Caller) async throws -> Order {
    try await order(id).flatMap { caller.maySee($0) ? $0 : nil }.orNotFound("order")
  }

  /// Reads a request about an order, or about a payment of it. By the precedence of refusals, what does not exist is not
  /// found, however wrong the request about it is.
  package func parsing<Value>(
    about id: OrderID, payment: PaymentID? = nil, by caller: Caller, _ parse: () async throws -> Value
  ) async throws -> Value {
    do { return try await parse() } catch let refusal as Refusal {
      let order = try await order(id, for: caller)
      if let payment { _ = try order.payment(payment).orNotFound("payment") }
      throw refusal
    }
  }
}

extension Optional {
  /// The value, or the refusal that there is none.
  package func orNotFound(_ what: String) throws(Refusal) -> Wrapped {
    guard let self else { throw Refusal(.notFound, "There is no such \(what).") }
    return self
  }
}
