import Contract
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

struct EventRoutes: Sendable {
  let reading: any Reading
  let rendering: Rendering

  func add(to routes: ShopRoutes) {
    routes.on(.get, "/v1/orders/:id/events", query: ["after", "limit"]) { request, context, merchant in
      let order = try await reading.order(context.id(), for: .merchant(merchant))
      let limit = Int(try request.queryInteger("limit", in: 1...1000) ?? 1000)
      let after = Int(try request.queryInteger("after", in: 0...Int64(EventID.maximumSequence)) ?? 0)
      let events = try await reading.events(of: order.id, after: after, limit: limit + 1)
      // It may have been moved since it was looked up.
      if events.isEmpty, after < order.sequence { _ = try await reading.order(order.id, for: .merchant(merchant)) }
      let page = Array(events.prefix(limit))
      let next = events.count > limit ? page.last.map { String($0.id.sequence) } : nil
      return .json(rendering.list(page, next: next) { Rendering.event($0, into: &$1) })
    }
    routes.on(.get, "/v1/events", query: ["after", "limit"]) { request, _, merchant in
      let limit = Int(try request.queryInteger("limit", in: 1...1000) ?? 100)
      let after = try request.queryInteger("after", in: 0...Int64.max) ?? 0
      let page = try await reading.feed(of: merchant, after: after, limit: limit)
      if let end = page.archivedTo { throw ProblemError(.eventsArchived(to: end)) }
      // A feed has no end. The cursor is always given, so that the shop can go on from it later.
      let next = String(page.events.last?.position ?? after)
      return .json(rendering.list(page.events, next: next) { Rendering.event($0.event, into: &$1) })
    }
  }
}
