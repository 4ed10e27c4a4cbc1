import HTTPTypes
import Hummingbird
import HummingbirdTesting
import PaymentCore
import Site
import Testing

/// Which pages of others may use a buyer's checkout: those of one origin, exactly.
@Suite struct OriginTests {
  /// The origin that is allowed is `https://shop.example`.
  @Test(arguments: [
    ("https://shop.example", true), ("http://shop.example", false), ("https://shop.example:443", false),
    ("https://shop.example:8443", false), ("https://evil-shop.example", false), ("https://evil.shop.example", false),
    ("https://evilshop.example", false), ("https://shop.example.evil.test", false), ("https://shop.exampl", false),
    ("https://shop.example/", false), ("https://shop.example/x", false), ("https://SHOP.EXAMPLE", false),
    ("https://hop.example", false), ("https://example", false), ("shop.example", false), ("null", false), ("", false),
  ])
  func anOriginIsItselfAndNoOther(_ origin: String, _ isAllowed: Bool) async throws {
    let house = FakeHouse()
    house.know()
    let checkout = "/checkout/\(FakeHouse.order.checkoutToken.text)"
    let preflight: HTTPFields = [.accessControlRequestMethod: "POST"]
    try await Application(router: house.gate().router()).test(.router) { client in
      for (method, path, more) in [
        (HTTPRequest.Method.options, "/payments", preflight), (.get, "/status", [:]), (.post, "/payments", [:]),
        (.get, "/nothing", [:]),
      ] {
        var headers = more
        headers[.origin] = origin
        try await client.execute(uri: checkout + path, method: method, headers: headers) { response in
          let said = "\(method) \(path) of \(origin)"
          #expect(response.headers[.accessControlAllowOrigin] == (isAllowed ? origin : nil), "\(said)")
          // What was said to one origin is not kept for another.
          #expect(response.headers[.vary] == "Origin", "\(said)")
          #expect(response.headers[.init("Access-Control-Allow-Credentials")!] == nil)
          let exposed = response.headers[.init("Access-Control-Expose-Headers")!]
          #expect(exposed == (isAllowed ? "Idempotency-Replayed, Retry-After, X-Request-Id" : nil), "\(said)")
          guard method == .options else { return }
          #expect(
            response.status == .noContent
              && response.headers[.accessControlAllowMethods] == (isAllowed ? "GET, POST" : nil))
          #expect((response.headers[.accessControlAllowHeaders] == nil) == !isAllowed)
        }
      }
    }
  }

  /// Of an order that there is not, nobody's pages may read anything; and our own need no leave.
  @Test func thereIsNoLeaveWithoutAnOrder() async throws {
    let house = FakeHouse()
    try await Application(router: house.gate().router()).test(.router) { client in
      let headers: HTTPFields = [.origin: FakeHouse.origin]
      let checkout = "/checkout/\(FakeHouse.order.checkoutToken.text)/status"
      try await client.execute(uri: checkout, method: .get, headers: headers) { response in
        #expect(response.status == .notFound && response.headers[.accessControlAllowOrigin] == nil)
        #expect(response.headers[.vary] == "Origin")
      }
      house.know()
      try await client.execute(uri: checkout, method: .get, headers: [.origin: "http://pay.example"]) { response in
        #expect(response.status == .ok && response.headers[.accessControlAllowOrigin] == nil)
      }
      for path in ["/v1/orders", "/healthz", "/v1/events"] {
        try await client.execute(uri: path, method: .get, headers: headers) { response in
          #expect(response.headers[.accessControlAllowOrigin] == nil, "\(path)")
        }
      }
    }
  }
}
