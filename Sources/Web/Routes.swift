import Contract
import HTTPTypes
package import Hummingbird
import PaymentEngine

/// The routes of the server, as one table: what a path does not have is 405, with what it has.
package struct Routes {
  typealias Handler = @Sendable (Request, WebContext) async throws -> Response
  private let router: Router<WebContext>
  package private(set) var table: [(method: HTTPRequest.Method, path: String)] = []

  init(router: Router<WebContext>) { self.router = router }

  mutating func on(_ method: HTTPRequest.Method, _ path: String, _ handler: @escaping Handler) {
    table.append((method, path))
    router.on(RouterPath(path), method: method, use: handler)
  }

  /// Answers every other method of the paths so far.
  func finish() {
    for path in Set(table.map(\.path)) {
      let methods = table.filter { $0.path == path }.map(\.method)
      let allowed = (methods + (methods.contains(.get) ? [.head] : [])).map(\.rawValue).sorted()
      // HEAD goes with GET; see the router's options.
      let others: [HTTPRequest.Method] =
        [.get, .post, .put, .delete, .patch, .options] + (methods.contains(.get) ? [] : [.head])
      for method in others where !methods.contains(method) {
        router.on(RouterPath(path), method: method) { _, _ -> Response in
          var response = Response.problem(.methodNotAllowed)
          response.headers[.allow] = allowed.joined(separator: ", ")
          return response
        }
      }
    }
  }
}

extension WebServices {
  /// Everything that the server answers.
  package func router() -> Router<WebContext> { routes().router }

  /// The router and its table.
  package func routes() -> (router: Router<WebContext>, routes: Routes) {
    let router = Router(context: WebContext.self, options: .autoGenerateHeadEndpoints)
    router.add(middleware: Frontier(randomness: randomness))
    var routes = Routes(router: router)
    let keys = KeyRing(directory: directory, clock: engine.clock)
    addOrders(to: &routes, keys)
    addPayments(to: &routes, keys)
    addRefunds(to: &routes, keys)
    addEvents(to: &routes, keys)
    addNotices(to: &routes)
    addCheckout(to: &routes)
    addHealth(to: &routes)
    if let demo { addDemo(demo, to: &routes) }
    routes.finish()
    return (router, routes)
  }
}
