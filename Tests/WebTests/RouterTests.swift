import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import PaymentCore
import PaymentEngine
import Testing

@testable import Web

@Suite struct RouterTests {
  /// Every route is described, and nothing else is.
  @Test func theDescriptionNamesEveryRoute() throws {
    let table = FakeHouse().services().routes().routes.table
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
    let services = house.services()
    let order = FakeHouse.order.id.text
    let token = FakeHouse.order.checkoutToken.text
    let shop: HTTPFields = [.authorization: "Bearer \(key.text)", .idempotencyKey: "k"]
    try await Application(router: services.router()).test(.router) { client in
      var refused = 0
      func body(_ method: HTTPRequest.Method, _ uri: String, _ headers: HTTPFields) async throws -> (Int, String) {
        try await client.execute(uri: uri, method: method, headers: headers) {
          ($0.status.code, String(buffer: $0.body))
        }
      }
      for route in services.routes().routes.table where route.query != nil {
        let path = route.path.replacing(":token", with: token).replacing(":id", with: order)
        let (status, text) = try await body(route.method, path + "?limit=1&stauts=paid&stauts", shop)
        if route.path.contains("payments/:id") || route.path.contains("refunds/:id") {
          if !route.path.hasPrefix("/checkout") {
            #expect(status == 404, "\(path): there is no such payment")
            continue
          }
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

  /// A list like every list: of one, or of none.
  @Test func byItsReferenceAnOrderIsFoundInAList() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    house.know()
    try await Application(router: house.services().router()).test(.router) { client in
      for (query, count) in [
        ("reference=A+1", 1), ("reference=A%201", 1), ("reference=A%2B1", 0), ("reference=B", 0),
        ("reference=A+1&status=open", 1), ("reference=A+1&status=paid", 0),
        ("reference=A+1&limit=1", 1), ("reference=A+1&after=\(FakeHouse.order.id.text)", 0), ("reference=", nil),
        ("reference", nil),
      ] as [(String, Int?)] {
        let headers: HTTPFields = [.authorization: "Bearer \(key.text)"]
        try await client.execute(uri: "/v1/orders?\(query)", method: .get, headers: headers) { response in
          let body = try? JSONSerialization.jsonObject(with: Data(String(buffer: response.body).utf8)) as? [String: Any]
          #expect((body?["data"] as? [Any])?.count == count, "\(query): \(String(buffer: response.body))")
          #expect(response.status == (count == nil ? .badRequest : .ok) && (count == nil || body?["next"] is NSNull))
        }
      }
    }
  }

  @Test func aKeyThatIsNoneIsToldWhatItIs() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    let old = AccessKey.merchant(CountingDice(from: 7))
    for (made, revokedAt) in [(old, Instant(milliseconds: 1))] {
      try await house.add(
        StoredKey(
          id: made.id, hash: made.hash, holder: .merchant(FakeHouse.merchant, name: "tea"),
          createdAt: Instant(milliseconds: 0), revokedAt: revokedAt))
    }
    try await Application(router: house.services().router()).test(.router) { client in
      for (header, says) in [
        (nil, "There is none"), ("Basic c2tfOg==", "scheme must be Bearer"), (key.text, "scheme must be Bearer"),
        ("Bearer op_" + key.text.dropFirst(3), "operator's login"), ("Bearer sk_nope", "is no key"),
        ("Bearer", "scheme"),
        ("Bearer " + key.text.dropLast() + (key.text.hasSuffix("0") ? "1" : "0"), "not known here"),
        ("Bearer \(old.text)", "was revoked"), ("bearer  \(key.text)", nil),
      ] as [(String?, String?)] {
        let headers = HTTPFields(header.map { [.init(name: .authorization, value: $0)] } ?? [])
        try await client.execute(uri: "/v1/orders", method: .get, headers: headers) { response in
          let body = String(buffer: response.body)
          #expect(response.status == (says == nil ? .ok : .unauthorized), "\(header ?? "none")")
          #expect(says.map(body.contains) ?? true, "\(header ?? "none"): \(body)")
          #expect(!body.contains(key.text.suffix(32)), "a secret is not repeated")
        }
      }
    }
  }

  /// An id of another kind, or a shop's own number, is told where it belongs.
  @Test func whatIsNoIdIsToldWhereToLook() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    let order = FakeHouse.order.id
    let payment = PaymentID(order: order, ordinal: 1).text
    try await Application(router: house.services().router()).test(.router) { client in
      for (path, says) in [
        ("/v1/orders/A-1001", "GET /v1/orders?reference=A-1001"), ("/v1/orders/A%201", "?reference=…"),
        ("/v1/orders/\(String(repeating: "9", count: 65))", "?reference=…"), ("/v1/payments/A-1", "no payment's id"),
        ("/v1/payments/\(order.text)", "/v1/orders/\(order.text)/payments"), ("/v1/refunds/x", "no refund's id"),
        ("/v1/orders/\(payment)", "GET /v1/payments/\(payment)"),
        ("/v1/refunds/\(payment)", "GET /v1/payments/\(payment)"),
      ] {
        let headers: HTTPFields = [.authorization: "Bearer \(key.text)"]
        try await client.execute(uri: path, method: .get, headers: headers) { response in
          let body = String(buffer: response.body)
          #expect(response.status == .notFound && body.contains(says), "\(path): \(body)")
        }
      }
    }
  }

  /// A store that fails is said to fail: it is never "not found", never 500, and the caller may come again.
  @Test(arguments: [Fault.unavailable("no disk"), .conflict, .unknownCommit, .overloaded])
  func faultsAre503(_ fault: Fault) async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    let application = Application(router: house.services().router())
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

  /// A store that can be read and not written takes no payment, which `readyz` has to say.
  @Test func readyIsWhoCanWrite() async throws {
    let house = FakeHouse()
    let services = house.services()
    try await Application(router: services.router()).test(.router) { client in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await services.engine.journal.lanes[0].run() }
        try await client.execute(uri: "/readyz", method: .get) { #expect($0.status == .ok) }
        house.fail(.unavailable("disk full"))
        try await client.execute(uri: "/readyz", method: .get) { #expect($0.status == .serviceUnavailable) }
        house.fail(nil)
        try await client.execute(uri: "/readyz", method: .get) { #expect($0.status == .ok) }
        services.engine.journal.close()
      }
    }
  }

  /// By precedence: what does not exist is not found, however wrong the request about it is.
  @Test func whatDoesNotExistIsNotFoundFirst() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    let order = "ord_" + String(repeating: "0", count: 26)
    let payment = "pay_" + String(repeating: "0", count: 27) + "1"
    try await Application(router: house.services().router()).test(.router) { client in
      for uri in [
        "/v1/orders/\(order)/payments", "/v1/orders/\(order)/close", "/v1/payments/\(payment)/check",
        "/v1/payments/\(payment)/close", "/v1/payments/\(payment)/refunds",
        "/checkout/ck_\(String(repeating: "0", count: 52))/payments",
      ] {
        let headers: HTTPFields = [.authorization: "bearer \(key.text)", .prefer: "wait=never"]
        try await client.execute(uri: uri, method: .post, headers: headers, body: ByteBuffer(string: "{nonsense")) {
          #expect($0.status == .notFound, "\(uri)")
        }
      }
    }
  }

  @Test func otherMethodsAreNamedAndHaveNoBodyOnHead() async throws {
    try await Application(router: FakeHouse().services().router()).test(.router) { client in
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

  @Test func severalKeysAreNone() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    house.know()
    let headers = HTTPFields([
      .init(name: .authorization, value: "Bearer \(key.text)"), .init(name: .idempotencyKey, value: "a"),
      .init(name: .idempotencyKey, value: "b"),
    ])
    try await Application(router: house.services().router()).test(.router) { client in
      let body = ByteBuffer(string: #"{"provider": "sandbox"}"#)
      let uri = "/v1/orders/\(FakeHouse.order.id.text)/payments"
      try await client.execute(uri: uri, method: .post, headers: headers, body: body) { response in
        #expect(response.status == .badRequest)
        #expect(String(buffer: response.body).contains("idempotency_key_invalid"))
      }
    }
  }

  /// Whoever asks for the head of a stream listens to nothing.
  @Test func theHeadOfAStreamListensToNothing() async throws {
    let house = FakeHouse()
    house.know()
    let services = house.services()
    try await Application(router: services.router()).test(.router) { client in
      let uri = "/checkout/\(FakeHouse.order.checkoutToken.text)/stream"
      for _ in 1...3 {
        try await client.execute(uri: uri, method: .head) { #expect($0.status == .ok) }
      }
    }
    #expect(services.engine.changes.count == 0)
  }

  @Test func queriesAreReadAsFormsWriteThem() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    house.know()
    try await Application(router: house.services().router()).test(.router) { client in
      for (query, status) in [
        ("reference=A+1&status=open", HTTPResponse.Status.ok), ("reference=A%201", .ok), ("reference=A%2B1", .ok),
        ("status=&limit=&after=", .ok), ("limit=1.0", .badRequest),
      ] {
        let headers: HTTPFields = [.authorization: "Bearer \(key.text)"]
        try await client.execute(uri: "/v1/orders?\(query)", method: .get, headers: headers) {
          #expect($0.status == status, "\(query)")
        }
      }
    }
  }

  /// The currencies that the description names are those that there are.
  @Test func theDescriptionNamesEveryCurrency() throws {
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(PackageResources.openapi_json)) as? [String: Any])
    var node: Any? = document
    for name in ["components", "schemas", "RegisterOrder", "properties", "currency", "enum"] {
      node = (node as? [String: Any])?[name]
    }
    let named = try #require(node as? [String])
    let letters = (UInt8(ascii: "A")...UInt8(ascii: "Z")).map { String(UnicodeScalar($0)) }
    let all = letters.flatMap { a in letters.flatMap { b in letters.map { a + b + $0 } } }
    #expect(named == all.filter { Currency(code: $0) != nil })
  }

  @Test func keysAreKnownAtOnceAndForgottenSoon() async throws {
    let house = FakeHouse()
    let clock = StillClock()
    let application = Application(router: house.services(clock: clock).router())
    try await application.test(.router) { client in
      func status(_ key: String) async throws -> HTTPResponse.Status {
        try await client.execute(uri: "/v1/orders", method: .get, headers: [.authorization: "Bearer \(key)"]) {
          $0.status
        }
      }
      let unknown = AccessKey.merchant(CountingDice()).text
      #expect(try await status(unknown) == .unauthorized)
      // Made while the server runs, it works at once.
      let key = try await house.newKey()
      #expect(try await status(key.text) == .ok)
      // The same first part with another secret is somebody else.
      #expect(try await status(String(key.text.dropLast()) + (key.text.hasSuffix("0") ? "1" : "0")) == .unauthorized)
      #expect(try await house.revoke(key.id, at: Instant(milliseconds: 1)))
      clock.advance(by: .seconds(5))
      #expect(try await status(key.text) == .unauthorized)
    }
  }

  @Test func requestIdsOfTheCallerAreKeptIfTheyAreHarmless() async throws {
    let application = Application(router: FakeHouse().services().router())
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
