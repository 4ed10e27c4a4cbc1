package import PaymentCore
package import PaymentEngine

extension Reading {
  /// The order, if this caller may see it.
  /// - Throws: the refusal `not_found` or `order_archived`, or the store's fault.
  package func order(_ id: OrderID, for caller: Caller) async throws -> Order {
    try await find(.id(id), for: caller) { try await order(id) }.orNotFound("order")
  }

  /// The order of a merchant, if there is one.
  /// - Throws: the refusal `order_archived`, or the store's fault.
  package func order(of merchant: MerchantID, _ number: OrderNumber) async throws -> Order? {
    try await find(.number(number), for: .merchant(merchant)) { try await order(.number(number)) }
  }

  private func find(
    _ name: OrderName, for caller: Caller, _ look: () async throws -> Order?
  ) async throws -> Order? {
    var order = try await look()
    if order == nil {
      if let archived = try await archived(name), caller.maySee(archived) { throw archived.refusal }
      // It may have been brought back between the two.
      order = try await look()
    }
    return order.flatMap { caller.maySee($0) ? $0 : nil }
  }

  /// Parses a request about an order, or about one of its payments. A refusal of the parser is thrown only when that
  /// order or payment exists: what does not exist is not found, however wrong the request is.
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
  /// The value.
  /// - Throws: the refusal `not_found` when there is none. `what` is the word for it in the text.
  package func orNotFound(_ what: String) throws(Refusal) -> Wrapped {
    guard let self else { throw Refusal(.notFound, "There is no such \(what).") }
    return self
  }
}
