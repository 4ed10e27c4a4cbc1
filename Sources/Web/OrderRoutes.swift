import Contract
import HTTPTypes
import Hummingbird
import PaymentCore
import PaymentEngine

extension WebServices {
  func addOrders(to routes: inout Routes, _ keys: KeyRing) {
    routes.on(.post, "/v1/orders") { request, _ in
      let merchant = try await keys.merchant(of: request)
      let wanted = try RegisterOrder(
        body: try await request.bytes(), merchant: merchant)
      let (order, isRepeat) = try await engine.register(wanted.registration, randomness)
      return .json(
        rendering.order(order), status: isRepeat ? .ok : .created, headers: [.location: "/v1/orders/\(order.id.text)"])
    }
    routes.on(.get, "/v1/orders", query: ["reference", "status", "after", "limit"]) { request, _ in
      try await list(of: try await keys.merchant(of: request), request)
    }
    routes.on(.get, "/v1/orders/:id") { request, context in
      let merchant = try await keys.merchant(of: request)
      return .json(rendering.order(try await order(context.id(), of: merchant)))
    }
    routes.on(.post, "/v1/orders/:id/reopen") { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: OrderID = try context.id()
      let wanted = try await parsing(about: id, by: .merchant(merchant)) { () throws in
        try ReopenOrder(body: try await request.bytes())
      }
      let command = Command.reopenOrder(id, expiresIn: wanted.expiresIn)
      guard case .order(let order, _) = try await engine.perform(command, by: .merchant(merchant)) else {
        throw ProblemError(.internalError)
      }
      return .json(rendering.order(order))
    }
    routes.on(.post, "/v1/orders/:id/close") { request, context in
      let merchant = try await keys.merchant(of: request)
      let id: OrderID = try context.id()
      let wait = try await parsing(about: id, by: .merchant(merchant)) { () throws in
        try NoFields.check(body: try await request.bytes())
        return try request.preferredWait()
      }
      let (_, order) = try await engine.perform(.closeOrder(id), by: .merchant(merchant), within: wait) {
        $1.status != .closing
      }
      if order.status == .paid {
        throw Refusal(.orderPaid, "The order turned out to be paid.", payment: order.keptPayment.map(order.view))
      }
      return .json(rendering.order(order), status: order.status == .closed ? .ok : .accepted)
    }
  }

  private func list(of merchant: MerchantID, _ request: Request) async throws -> Response {
    let limit = Int(try request.queryInteger("limit", in: 1...100) ?? 20)
    var status: Order.Status?
    if let text = request.queryText("status") {
      status = Order.Status(exactly: text)
      if status == nil {
        let names = Order.Status.allCases.map(\.rawValue).joined(separator: ", ")
        throw Refusal(
          .invalidRequest, "A query parameter is wrong.",
          errors: [.init(field: "status", message: "must be one of \(names)")])
      }
    }
    var after: OrderID?
    if let text = request.queryText("after") {
      after = OrderID(text: text)
      if after == nil { throw Self.badCursor }
    }
    var orders: [Order]
    if let reference = request.queryText("reference") {
      let order = try await reading.order(merchant: merchant, reference: reference)
      orders = order.map { [$0] } ?? []
      orders.removeAll { order in
        status.map { $0 != order.status } ?? false || after.map { $0 <= order.id } ?? false
      }
    } else if request.hasQuery("reference") {
      // All orders would be no answer to a number that got lost on the way.
      throw Refusal(
        .invalidRequest, "A query parameter is wrong.",
        errors: [.init(field: "reference", message: "must be 1 to 64 characters long")])
    } else {
      orders = try await reading.orders(of: merchant, status: status, after: after, limit: limit + 1)
    }
    let page = Array(orders.prefix(limit))
    let next = orders.count > limit ? page.last?.id.text : nil
    return .json(rendering.list(page, next: next) { rendering.order($0, into: &$1) })
  }

  static var badCursor: Refusal {
    Refusal(
      .invalidRequest, "A query parameter is wrong.",
      errors: [.init(field: "after", message: "must be the value of next from an earlier page")])
  }

  /// Reads a request about an order, or about a payment of it. By the precedence of refusals, what does not exist is not
  /// found, however wrong the request about it is.
  func parsing<Value>(
    about id: OrderID, payment: PaymentID? = nil, by caller: Caller, _ parse: () async throws -> Value
  ) async throws -> Value {
    do { return try await parse() } catch let refusal as Refusal {
      guard let order = try await reading.order(id), caller.maySee(order) else {
        throw Refusal(.notFound, "There is no such order.")
      }
      if let payment { _ = try order.payment(payment).orNotFound("payment") }
      throw refusal
    }
  }

  /// An order as this merchant may see it.
  func order(_ id: OrderID, of merchant: MerchantID) async throws -> Order {
    let order = try await reading.order(id)
    return try order.flatMap { Caller.merchant(merchant).maySee($0) ? $0 : nil }.orNotFound("order")
  }
}

extension Optional {
  /// The value, or the refusal that there is none.
  func orNotFound(_ what: String) throws(Refusal) -> Wrapped {
    guard let self else { throw Refusal(.notFound, "There is no such \(what).") }
    return self
  }
}
