package import HTTPTypes
package import Hummingbird
import PaymentCore
import Synchronization

/// The routes of the server, and a table of them: a path that exists without the wanted method is answered 405.
package struct Routes {
  package typealias Handler = @Sendable (Request, WebContext) async throws -> Response
  /// Checks that come before those of the query: who calls, and whether what the path names exists. Throws what is
  /// wrong.
  package typealias Admission = @Sendable (Request, WebContext) async throws -> Void

  /// The router. Middleware applies to the routes that are added after it.
  package let router = Router(context: WebContext.self, options: .autoGenerateHeadEndpoints)
  package let table = RouteTable()

  package init() {}

  /// - Parameters:
  ///   - query: the parameters that the call knows. Others are refused: a misspelt filter would be ignored, and the
  ///     whole list returned. `nil` allows any: others append parameters of their own to links to pages.
  ///   - admit: is asked before a query is refused.
  ///   - form: handles requests whose body is a form. Their query may hold anything, like a page's.
  package func on(
    _ method: HTTPRequest.Method, _ path: String, query: [String]? = nil, admit: Admission? = nil, form: Handler? = nil,
    _ handler: @escaping Handler
  ) {
    table.add(Route(method: method, path: path, query: query))
    router.on(RouterPath(path), method: method) { request, context in
      if let form, request.isForm { return try await form(request, context) }
      if let query, let refusal = request.refusal(ofQueryBeyond: query) {
        try await admit?(request, context)
        throw refusal
      }
      return try await handler(request, context)
    }
  }

  package func add(_ asset: PageAsset) {
    on(.get, asset.path) { request, context in
      context.note.isMinor = true
      return asset.response(request)
    }
  }
}

package struct Route: Sendable {
  package let method: HTTPRequest.Method
  package let path: String
  /// The query parameters that the call knows; `nil` when it takes any.
  package let query: [String]?
}

/// The methods of each path. The router itself reports a path without the wanted method as not found.
package final class RouteTable: Sendable {
  private let routes = Mutex<[Route]>([])

  package var all: [Route] { routes.withLock { $0 } }

  func add(_ route: Route) { routes.withLock { $0.append(route) } }

  /// The methods of this path, sorted; empty when there is no such path. A path with GET has HEAD, too.
  func methods(of path: String) -> [String] {
    let methods = all.filter { Self.matches($0.path, path) }.map(\.method)
    return (methods + (methods.contains(.get) ? [.head] : [])).map(\.rawValue).sorted()
  }

  private static func matches(_ pattern: String, _ path: String) -> Bool {
    let (pattern, path) = (pattern.split(separator: "/"), path.split(separator: "/"))
    return pattern.count == path.count && zip(pattern, path).allSatisfy { $0.hasPrefix(":") || $0 == $1 }
  }
}
