package import HTTPTypes
package import Hummingbird
import PaymentCore
import Synchronization

/// The routes of the server, and a table of them: what a path does not have is 405, with what it has.
package struct Routes {
  package typealias Handler = @Sendable (Request, WebContext) async throws -> Response
  /// Throws what is complained of before a query: who calls, and whether what the path names is there.
  package typealias Admission = @Sendable (Request, WebContext) async throws -> Void

  /// Middleware is put around the routes that come after it.
  package let router = Router(context: WebContext.self, options: .autoGenerateHeadEndpoints)
  package let table = RouteTable()

  package init() {}

  /// - Parameters:
  ///   - query: the parameters that it knows. Another one is refused, as an unknown field is: it is a misspelling, and what
  ///     it was to narrow down would be answered whole. `nil` where anything may stand: links to pages collect what others
  ///     append to them.
  ///   - form: answers a form of a page, where one may come here. Like a page it may have any query.
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

/// A method of a path.
package struct Route: Sendable {
  package let method: HTTPRequest.Method
  package let path: String
  /// The query parameters that it knows; `nil` where any may stand.
  package let query: [String]?
}

/// Which methods a path has; the router itself calls a path without the wanted one not found.
package final class RouteTable: Sendable {
  private let routes = Mutex<[Route]>([])

  package var all: [Route] { routes.withLock { $0 } }

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
