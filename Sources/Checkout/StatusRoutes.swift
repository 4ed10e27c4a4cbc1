import Contract
import HTTPTypes
import Hummingbird
import NIOCore
import PaymentCore
import PaymentEngine
import Site

/// The routes that tell how an order stands, as JSON: at once, after a change, or as a stream.
struct StatusRoutes: Sendable {
  let engine: Engine
  let reading: any Reading
  let orders: BuyerOrders
  let rendering: Rendering

  func add(to routes: Routes) {
    routes.on(.get, "/checkout/:token/status", query: ["wait", "version"], admit: orders.admit) { request, context in
      let order = try await orders.order(behind: context)
      let seconds = try request.queryInteger("wait", in: 0...60)
      let version = try request.queryInteger("version", in: 0...Int64.max)
      // Reading does not query the provider; pages read constantly.
      guard let seconds else { return .json(try await view(order)) }
      guard seconds > 0 else { return .json(try await view(try await orders.asked(order))) }
      return .json(
        try await view(
          try await changed(order, beyond: version.map { Int($0) }, within: .seconds(seconds), request, context)))
    }
    routes.on(.get, "/checkout/:token/stream", query: [], admit: orders.admit) { request, context in
      let order = try await orders.order(behind: context)
      try engine.listeners.checkPlaceForPage()
      return try await stream(order, as: .page(from: Peer.address(of: request, context.channel)))
    }
  }

  private func view(_ order: Order) async throws -> [UInt8] {
    view(order, shop: try await orders.shop(of: order).shownName)
  }

  private func view(_ order: Order, shop: String) -> [UInt8] {
    let standing = orders.standing(of: order)
    return rendering.buyerView(
      order, shop: shop, methods: standing.methods, retryAt: standing.brake.end, isAskable: standing.isAskable,
      nextCheckAt: standing.nextCheckAt, now: standing.now)
  }

  /// Has the live payment's provider asked, and waits until the order has changed.
  /// - Parameter version: the version that the caller has. `nil` waits until no payment is live and the order is not
  ///   closing.
  /// - Returns: the order as it is when the wait is over.
  private func changed(
    _ order: Order, beyond version: Int?, within wait: Duration, _ request: Request, _ context: WebContext
  ) async throws -> Order {
    let kind = Listeners.Kind.page(from: Peer.address(of: request, context.channel))
    return try await engine.listeners.withSubscription(to: order.id, as: kind) { subscription in
      let isMet: @Sendable (Order) -> Bool = { order in
        version.map { order.version > $0 } ?? (order.livePayment == nil && order.status != .closing)
      }
      let now = try await orders.asked(order)
      if isMet(now) { return now }
      if let next = await subscription.first(within: wait, where: isMet), isMet(next) { return next }
      // The view carries the time at which it was true, and the wait was long.
      return try await reading.order(order.id) ?? now
    }
  }

  /// How long one stream lasts. The browser then opens the next.
  private static let streamLife: Duration = .seconds(600)
  private static let heartbeat: Duration = .seconds(15)

  /// Server-sent events: the buyer's view, now, at every change, and at every heartbeat.
  private func stream(_ order: Order, as kind: Listeners.Kind) async throws -> Response {
    let shop = try await orders.shop(of: order).shownName
    // The subscription begins when the body is written: the answer to HEAD has no body.
    let body = ResponseBody { writer in
      try await engine.listeners.withSubscription(to: order.id, as: kind) { subscription in
        // The next heartbeat notices that a buyer has left. Hummingbird could tell at once, but stops the program when
        // it watches a request whose body never ends.
        var order = (try? await reading.order(order.id)) ?? order
        let end = engine.clock.uptime() + Self.streamLife
        try await writer.write(event(order, shop))
        while !subscription.isOver, engine.clock.uptime() < end {
          let version = order.version
          let next = await subscription.first(within: Self.heartbeat, where: { $0.version > version })
          if let next, next.version > version {
            order = next
            try await writer.write(event(order, shop))
          } else {
            // The heartbeat is the view and not a comment: a page cannot see comments, and a dead connection looks like
            // a quiet one. When the order cannot be read the stream ends, since another node may be able to read it.
            guard let current = try? await reading.order(order.id) else { break }
            try await writer.write(event(current, shop))
          }
        }
        try await writer.finish(nil)
      }
    }
    return Response(
      status: .ok,
      headers: [
        .contentType: "text/event-stream", .cacheControl: "no-store", .init("X-Accel-Buffering")!: "no",
      ], body: body)
  }

  private func event(_ order: Order, _ shop: String) -> ByteBuffer {
    var buffer = ByteBuffer(string: "id: \(order.version)\ndata: ")
    buffer.writeBytes(view(order, shop: shop))
    buffer.writeString("\n\n")
    return buffer
  }
}
