import Contract
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

/// What operators ask by programs, with their logins: the cases, of all merchants.
struct OperatorRoutes: Sendable {
  let engine: Engine
  let reading: any Reading
  let directory: any Directory
  let rendering: Rendering
  let keys: KeyRing

  /// How many open cases are listed at most.
  private static let listed = 1000

  func add(to routes: Routes) {
    routes.on(.get, "/v1/operator/cases", query: [], admit: admit) { request, context in
      _ = try await keys.operator(of: request)
      var views: [CaseView] = []
      for waiting in try await reading.waiting(limit: Self.listed) {
        guard let item = waiting.item else { continue }
        let order = waiting.reference == nil ? nil : try await reading.order(waiting.order)
        views.append(CaseView(item, order: order, merchant: waiting.merchant))
      }
      return .json(rendering.list(views, next: nil) { $0.write(into: &$1) })
    }
    routes.on(.get, "/v1/operator/cases/:id", query: [], admit: admit) { request, context in
      _ = try await keys.operator(of: request)
      return .json(rendering.document(try await view(context.id()).write))
    }
    routes.on(.post, "/v1/operator/cases/:id/resolve", query: [], admit: admit) { request, context in
      let name = try await keys.operator(of: request)
      let id: CaseID = try context.id()
      let wanted: ResolveCase
      do { wanted = try ResolveCase(body: try await request.bytes()) } catch let refusal as Refusal {
        _ = try await view(id)
        throw refusal
      }
      _ = try await engine.journal.perform(.resolve(id, wanted.choice, note: wanted.note), by: .operator(name))
      return .json(rendering.document(try await view(id).write))
    }
  }

  /// Throws `not_found` when the path's id names no case.
  private var admit: Routes.Admission {
    { request, context in
      _ = try await keys.operator(of: request)
      if context.parameters.get("id") != nil { _ = try await view(context.id()) }
    }
  }

  private func view(_ id: CaseID) async throws -> CaseView {
    let (item, order) = try await reading.find(id).orNotFound("case")
    var merchant: String?
    if let order { merchant = try await directory.merchant(order.registration.merchant)?.name }
    return CaseView(item, order: order, merchant: merchant)
  }
}
