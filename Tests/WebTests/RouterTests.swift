import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import PaymentCore
import PaymentEngine
import Site
import Testing

@testable import API

@Suite struct RouterTests {
  /// Every route is described, and nothing else is.
  @Test func theDescriptionNamesEveryRoute() throws {
    let table = FakeHouse().gate().routes().table.all
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(PackageResources.openapi_json)) as? [String: Any])
    let paths = try #require(document["paths"] as? [String: [String: Any]])
    let methods: Set<String> = ["get", "post", "put", "delete", "patch"]
    let described = Set(paths.flatMap { path, item in item.keys.filter(methods.contains).map { "\($0) \(path)" } })
    let routed = Set(
      table.map { route in
        let parts = route.path.split(separator: "/", omittingEmptySubsequences: false)
          .map { $0.hasPrefix(":") ? "{\($0.dropFirst())}" : String($0) }
        return "\(route.method.rawValue.lowercased()) \(parts.joined(separator: "/"))"
      })
    #expect(routed.subtracting(described) == [])
    #expect(described.subtracting(routed) == [])
    #expect(routed.count > 25)
    // Where a query parameter that is not known is refused, those that are known are described.
    var named = 0
    for route in table {
      guard let known = route.query else { continue }
      let path = route.path.split(separator: "/", omittingEmptySubsequences: false)
        .map { $0.hasPrefix(":") ? "{\($0.dropFirst())}" : String($0) }.joined(separator: "/")
      let operation = paths[path]?[route.method.rawValue.lowercased()] as? [String: Any]
      let parameters = operation?["parameters"] as? [[String: Any]] ?? []
      let names = parameters.filter { $0["in"] as? String == "query" }.compactMap { $0["name"] as? String }
      #expect(known == names, "\(route.method) \(path)")
      #expect((operation?["responses"] as? [String: Any])?["400"] != nil, "\(route.method) \(path)")
      named += known.count
    }
    #expect(named >= 11)
  }

  /// A misspelt parameter would be answered with everything. It is complained of after what comes before by precedence.
  @Test func whatIsNoParameterIsRefusedEverywhereButOnPages() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    house.know()
    let gate = house.gate()
    let order = FakeHouse.order.id.text
    let token = FakeHouse.order.checkoutToken.text
    let shop: HTTPFields = [.authorization: "Bearer \(key.text)", .idempotencyKey: "k"]
    try await Application(router: gate.router()).test(.router) { client in
      var refused = 0
      func body(_ method: HTTPRequest.Method, _ uri: String, _ headers: HTTPFields) async throws -> (Int, String) {
        try await client.execute(uri: uri, method: method, headers: headers) {
          ($0.status.code, String(buffer: $0.body))
        }
      }
      for route in gate.routes().table.all where route.query != nil {
        let path = route.path.replacing(":token", with: token).replacing(":id", with: order)
        let (status, text) = try await body(route.method, path + "?limit=1&stauts=paid&stauts", shop)
        if route.path.contains("payments/:id") || route.path.contains("refunds/:id") {
          if !route.path.hasPrefix("/checkout") {
            #expect(status == 404, "\(path): there is no such payment")
            continue
          }
        }
        if route.path.hasPrefix("/v1/operator/") {
          #expect(status == 401, "\(path): that is no operator's login")
          continue
        }
        #expect(status == 400 && text.contains(#""field":"stauts""#), "\(route.method) \(path): \(status) \(text)")
        refused += 1
        if route.path.hasPrefix("/v1/") {
          #expect(try await body(route.method, path + "?stauts=paid", [:]).0 == 401, "\(path)")
        }
      }
      #expect(refused >= 12)
      let none = "ord_" + String(repeating: "0", count: 26)
      #expect(try await body(.get, "/v1/orders/\(none)?x=1", shop).0 == 404)
      let nobodys = "/checkout/ck_" + String(repeating: "0", count: 52)
      #expect(try await body(.get, "\(nobodys)/status?x=1", [:]).0 == 404)
      #expect(try await body(.post, "\(nobodys)/payments?x=1", [:]).0 == 404)
      let both = try await body(.get, "/v1/orders?limit=1&limit=2", shop)
      #expect(both.0 == 400 && both.1.contains("must be there once"))
      let many = try await body(.get, "/v1/orders?" + (0..<2000).map { "p\($0)" }.joined(separator: "&"), shop)
      #expect(many.0 == 400 && many.1.utf8.count < 4000, "an answer is no larger for many mistakes")
      // What trackers append keeps nobody from paying.
      for path in ["/checkout/\(token)", "/healthz", "/checkout.css", "/payonce.js", "/openapi.json", "/demo"] {
        #expect(try await body(.get, path + "?utm_source=mail&fbclid=1", [:]).0 == 200, "\(path)")
      }
      let form: HTTPFields = [.contentType: "application/x-www-form-urlencoded"]
      #expect(try await body(.post, "/checkout/\(token)/payments?fbclid=1", form).0 == 303)
    }
  }

  /// A store that fails is said to fail: it is never "not found", never 500, and the caller may come again.
  @Test(arguments: [Fault.unavailable("no disk"), .conflict, .unknownCommit, .overloaded])
  func faultsAre503(_ fault: Fault) async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    let application = Application(router: house.gate().router())
    try await application.test(.router) { client in
      let headers: HTTPFields = [.authorization: "Bearer \(key.text)", .idempotencyKey: "k"]
      // The key is known from here on, so that what fails is what lies behind it.
      try await client.execute(uri: "/v1/orders", method: .get, headers: headers) { #expect($0.status == .ok) }
      house.fail(fault)
      let id = "ord_" + String(repeating: "0", count: 26)
      let token = "ck_" + String(repeating: "0", count: 52)
      for uri in [
        "/v1/orders", "/v1/orders/\(id)", "/v1/orders/\(id)/payments", "/v1/orders/\(id)/events", "/v1/events",
        "/v1/payments/pay_\(String(repeating: "0", count: 27))1", "/v1/orders?reference=a",
        "/checkout/\(token)/status", "/checkout/\(token)/stream",
      ] {
        try await client.execute(uri: uri, method: .get, headers: headers) { response in
          #expect(response.status == .serviceUnavailable, "\(uri) is \(response.status)")
          #expect(response.headers[.contentType] == "application/problem+json")
          #expect(response.headers[.retryAfter] != nil)
          #expect(response.headers[.requestID] != nil)
          #expect(!String(buffer: response.body).contains("no disk"), "what broke is for the log")
        }
      }
      // A person is told in words.
      try await client.execute(uri: "/checkout/\(token)", method: .get) { response in
        #expect(response.status == .serviceUnavailable)
        #expect(response.headers[.contentType] == "text/html; charset=utf-8")
        #expect(String(buffer: response.body).contains("do not pay again"))
      }
      try await client.execute(uri: "/healthz", method: .get) { #expect($0.status == .ok) }
      house.fail(nil)
      try await client.execute(uri: "/v1/orders/\(id)", method: .get, headers: headers) {
        #expect($0.status == .notFound)
      }
    }
  }

  @Test func otherMethodsAreNamedAndHaveNoBodyOnHead() async throws {
    try await Application(router: FakeHouse().gate().router()).test(.router) { client in
      for method in ["TRACE", "PROPFIND", "PUT", "DELETE"] {
        try await client.execute(uri: "/v1/orders", method: .init(method)!) { response in
          #expect(response.status == .methodNotAllowed, "\(method)")
          #expect(response.headers[.allow] == "GET, HEAD, POST")
        }
      }
      for (uri, status) in [
        ("/nothing", HTTPResponse.Status.notFound), ("/v1/payments/x/check", .methodNotAllowed), ("/healthz", .ok),
      ] {
        try await client.execute(uri: uri, method: .head) { response in
          #expect(response.status == status, "\(uri)")
          #expect(response.body.readableBytes == 0)
          #expect(response.headers[.contentLength] != nil)
        }
      }
    }
  }

  @Test func requestIdsOfTheCallerAreKeptIfTheyAreHarmless() async throws {
    let application = Application(router: FakeHouse().gate().router())
    try await application.test(.router) { client in
      for (sent, isKept) in [
        ("abc-1_2.3", true), ("a b", false), (String(repeating: "x", count: 65), false), ("é", false),
      ] {
        try await client.execute(uri: "/healthz", method: .get, headers: [.requestID: sent]) { response in
          #expect((response.headers[.requestID] == sent) == isKept, "\(sent)")
          #expect(response.headers[.requestID]?.isEmpty == false)
        }
      }
    }
  }
}
