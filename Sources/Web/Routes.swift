import Contract
import HTTPTypes
package import Hummingbird
import PaymentCore
import PaymentEngine
import Synchronization

/// The routes of the server, and a table of them: what a path does not have is 405, with what it has.
package struct Routes {
  typealias Handler = @Sendable (Request, WebContext) async throws -> Response
  private let router: Router<WebContext>
  private let shared: RouteTable
  /// What is complained of before a query: who calls, and whether what the path names is there.
  private let admit: @Sendable (Request, WebContext) async throws -> Void

  init(
    router: Router<WebContext>, table: RouteTable,
    admit: @escaping @Sendable (Request, WebContext) async throws -> Void
  ) {
    self.router = router
    shared = table
    self.admit = admit
  }

  /// - Parameter query: the parameters that it knows. Another one is refused, as an unknown field is: it is a misspelling,
  ///   and what it was to narrow down would be answered whole. `nil` where anything may stand: links to pages collect
  ///   what others append to them. That is the rule outside of `/v1`, as none at all is inside.
  mutating func on(
    _ method: HTTPRequest.Method, _ path: String, query: [String]? = nil, _ handler: @escaping Handler
  ) {
    let known = query ?? (path.hasPrefix("/v1/") ? [] : nil)
    shared.add(Route(method: method, path: path, query: known))
    router.on(RouterPath(path), method: method) { [admit] request, context in
      // A form is a buyer's, as a page is.
      let isBuyers = request.isForm && context.parameters.get("token") != nil
      if let known, !isBuyers, let refusal = request.refusal(ofQueryBeyond: known) {
        try await admit(request, context)
        throw refusal
      }
      return try await handler(request, context)
    }
  }

  package var table: [Route] { shared.all }
}

/// A method of a path.
package struct Route: Sendable {
  package let method: HTTPRequest.Method
  package let path: String
  /// The query parameters that it knows; `nil` where any may stand.
  package let query: [String]?
}

/// Which methods a path has; the router itself calls a path without the wanted one not found.
final class RouteTable: Sendable {
  private let routes = Mutex<[Route]>([])

  var all: [Route] { routes.withLock { $0 } }

  func add(_ route: Route) { routes.withLock { $0.append(route) } }

  /// What may be asked of this path, sorted; empty when there is no such path. HEAD goes with GET.
  func methods(of path: String) -> [String] {
    let methods = all.filter { Self.matches($0.path, path) }.map(\.method)
    return (methods + (methods.contains(.get) ? [.head] : [])).map(\.rawValue).sorted()
  }

  private static func matches(_ pattern: String, _ path: String) -> Bool {
    let (pattern, path) = (pattern.split(separator: "/"), path.split(separator: "/"))
    return pattern.count == path.count && zip(pattern, path).allSatisfy { $0.hasPrefix(":") || $0 == $1 }
  }
}

extension WebServices {
  /// Everything that the server answers.
  package func router() -> Router<WebContext> { routes().router }

  /// The router and its table.
  package func routes() -> (router: Router<WebContext>, routes: Routes) {
    let router = Router(context: WebContext.self, options: .autoGenerateHeadEndpoints)
    let table = RouteTable()
    router.add(middleware: Frontier(randomness: randomness))
    router.add(
      middleware: CheckoutOrigins(order: { try await order(behind: $0) }, directory: directory, own: publicURL))
    router.add(middleware: Problems(table: table))
    let keys = KeyRing(directory: directory, clock: engine.clock)
    var routes = Routes(router: router, table: table) { try await admit($0, $1, keys) }
    addOrders(to: &routes, keys)
    addPayments(to: &routes, keys)
    addRefunds(to: &routes, keys)
    addEvents(to: &routes, keys)
    addNotices(to: &routes)
    addCheckout(to: &routes)
    addReturns(to: &routes)
    addHealth(to: &routes)
    if let demo {
      // Before what comes after it; so the demo is last.
      router.add(middleware: DemoDoor(publicURL: publicURL))
      addDemo(demo, to: &routes)
    }
    return (router, routes)
  }

  /// Lets a request through whose caller is known, and about what is there.
  private func admit(_ request: Request, _ context: WebContext, _ keys: KeyRing) async throws {
    if context.parameters.get("token") != nil {
      _ = try await order(behind: context)
      return
    }
    let merchant = try await keys.merchant(of: request)
    guard let path = context.endpointPath, context.parameters.get("id") != nil else { return }
    if path.hasPrefix("/v1/payments") {
      let id: PaymentID = try context.id()
      _ = try await order(id.order, of: merchant).payment(id).orNotFound("payment")
    } else if path.hasPrefix("/v1/refunds") {
      let id: RefundID = try context.id()
      _ = try await order(id.order, of: merchant).refund(id).orNotFound("refund")
    } else {
      _ = try await order(context.id(), of: merchant)
    }
  }
}
