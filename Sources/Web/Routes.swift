import Contract
import HTTPTypes
package import Hummingbird
import PaymentEngine
import Synchronization

/// The routes of the server, and a table of them: what a path does not have is 405, with what it has.
package struct Routes {
  typealias Handler = @Sendable (Request, WebContext) async throws -> Response
  private let router: Router<WebContext>
  private let shared: RouteTable

  init(router: Router<WebContext>, table: RouteTable) {
    self.router = router
    shared = table
  }

  mutating func on(_ method: HTTPRequest.Method, _ path: String, _ handler: @escaping Handler) {
    shared.add(method, path)
    router.on(RouterPath(path), method: method, use: handler)
  }

  package var table: [(method: HTTPRequest.Method, path: String)] { shared.all }
}

/// Which methods a path has; the router itself calls a path without the wanted one not found.
final class RouteTable: Sendable {
  private let routes = Mutex<[(method: HTTPRequest.Method, path: String)]>([])

  var all: [(method: HTTPRequest.Method, path: String)] { routes.withLock { $0 } }

  func add(_ method: HTTPRequest.Method, _ path: String) { routes.withLock { $0.append((method, path)) } }

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
    router.add(
      middleware: CheckoutOrigins(order: { try await order(behind: $0) }, directory: directory, own: publicURL))
    router.add(middleware: Frontier(randomness: randomness, table: table))
    var routes = Routes(router: router, table: table)
    let keys = KeyRing(directory: directory, clock: engine.clock)
    addOrders(to: &routes, keys)
    addPayments(to: &routes, keys)
    addRefunds(to: &routes, keys)
    addEvents(to: &routes, keys)
    addNotices(to: &routes)
    addCheckout(to: &routes)
    addHealth(to: &routes)
    if let demo { addDemo(demo, to: &routes) }
    return (router, routes)
  }
}
