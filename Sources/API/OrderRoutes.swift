import Contract
import HTTPTypes
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

struct OrderRoutes: Sendable {
  let engine: Engine
  let reading: any Reading
  let randomness: any Randomness
  let rendering: Rendering

  func add(to routes: ShopRoutes) {
    routes.on(.post, "/v1/orders") { request, _, merchant in
      let wanted = try RegisterOrder(body: try await request.bytes(), merchant: merchant)
      let (order, isRepeat) = try await engine.journal.register(wanted.registration, randomness)
      return .json(
        rendering.order(order), status: isRepeat ? .ok : .created, headers: [.location: "/v1/orders/\(order.id.text)"])
    }
    routes.on(.get, "/v1/orders", query: ["reference", "status", "after", "limit"]) { request, _, merchant in
      try await list(of: merchant, request)
    }
    routes.on(.get, "/v1/orders/:id") { _, context, merchant in
      .json(rendering.order(try await reading.order(context.id(), for: .merchant(merchant))))
    }
    routes.on(.post, "/v1/orders/:id/reopen") { request, context, merchant in
      let id: OrderID = try context.id()
      let wanted = try await reading.parsing(about: id, by: .merchant(merchant)) { () throws in
        try ReopenOrder(body: try await request.bytes())
      }
      let command = Command.reopenOrder(id, expiresIn: wanted.expiresIn)
      guard case .order(let order, _) = try await engine.journal.perform(command, by: .merchant(merchant)) else {
        throw ProblemError(.internalError)
      }
      return .json(rendering.order(order))
    }
    routes.on(.post, "/v1/orders/:id/close") { request, context, merchant in
      let id: OrderID = try context.id()
      let wait = try await reading.parsing(about: id, by: .merchant(merchant)) { () throws in
        try NoFields.check(body: try await request.bytes())
        return try request.preferredWait()
      }
      let (_, order) = try await engine.journal.perform(.closeOrder(id), by: .merchant(merchant), within: wait) {
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
      // An empty list says that it was never registered.
      let order = try await reading.order(of: merchant, engine.rules.numbering.order(merchant, reference))
      orders = order.map { [$0] } ?? []
      orders.removeAll { order in
        status.map { $0 != order.status } ?? false || after.map { $0 <= order.id } ?? false
      }
    } else if request.hasQuery("reference") {
      // An empty reference is a number that got lost on the way. All orders would be the wrong answer.
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

  private static var badCursor: Refusal {
    Refusal(
      .invalidRequest, "A query parameter is wrong.",
      errors: [.init(field: "after", message: "must be the value of next from an earlier page")])
  }
}
