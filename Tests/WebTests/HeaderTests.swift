import HTTPTypes
import Hummingbird
import HummingbirdTesting
import PaymentCore
import PaymentEngine
import Site
import Testing

/// What every page has in its head, also the page that says what went wrong: its address holds the buyer's token.
@Suite struct HeaderTests {
  private static let policy = [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
    "base-uri 'none'",
  ]

  private static func expectPage(_ response: TestResponse, _ status: HTTPResponse.Status, _ what: String) {
    #expect(response.status == status, "\(what): \(response.status)")
    #expect(response.headers[.contentType] == "text/html; charset=utf-8", "\(what)")
    #expect(response.headers[.contentTypeOptions] == "nosniff", "\(what)")
    #expect(response.headers[.init("Referrer-Policy")!] == "no-referrer", "\(what)")
    #expect(response.headers[.cacheControl] == "no-store", "\(what)")
    let policy = response.headers[.init("Content-Security-Policy")!] ?? ""
    let parts = policy.split(separator: ";").map { $0.drop { $0 == " " } }
    for part in Self.policy { #expect(parts.contains(part[...]), "\(what): no \(part) in \(policy)") }
    for name in ["form-action", "frame-src", "frame-ancestors"] {
      #expect(parts.filter { $0.hasPrefix(name + " ") }.count == 1, "\(what): \(policy)")
    }
    // A page that says nothing of an order may be framed by everybody.
    let loads = parts.filter { !$0.hasPrefix("frame-ancestors ") }.joined()
    #expect(!loads.contains("unsafe") && !loads.contains("*"), "\(what): \(policy)")
  }

  @Test func everyPageKeepsItsAddressToItselfAndRunsOurScriptsAlone() async throws {
    let house = FakeHouse()
    let token = FakeHouse.order.checkoutToken.text
    let none = "ck_" + String(repeating: "0", count: 52)
    let nowhere = "/return/\(PaymentNumber(order: FakeHouse.order.number, ordinal: 1).text)"
    try await Application(router: house.gate().router()).test(.router) { client in
      func page(_ path: String, _ status: HTTPResponse.Status) async throws {
        try await client.execute(uri: path, method: .get) { Self.expectPage($0, status, path) }
      }
      house.know()
      try await page("/checkout/\(token)", .ok)
      try await page("/checkout/\(token)?lang=zh", .ok)
      try await page("/checkout/\(none)", .notFound)
      try await page("/checkout/x", .notFound)
      try await page(nowhere, .notFound)
      try await page("/demo", .ok)
      let form: HTTPFields = [.contentType: "application/x-www-form-urlencoded"]
      let theirs = PaymentID(order: try #require(CheckoutToken(text: none)).order, ordinal: 1).text
      let close = "/checkout/\(none)/payments/\(theirs)/close"
      try await client.execute(uri: close, method: .post, headers: form) {
        Self.expectPage($0, .notFound, "a form of no order")
      }
      house.fail(.unavailable("no disk"))
      try await page("/checkout/\(token)", .serviceUnavailable)
      try await page(nowhere, .serviceUnavailable)
    }
  }

  /// A page is not shown inside of a stranger's, unless its merchant said so.
  @Test func pagesAreFramedByTheirShopAlone() async throws {
    let house = FakeHouse()
    house.know()
    try await Application(router: house.gate().router()).test(.router) { client in
      for (path, framedBy) in [
        ("/checkout/\(FakeHouse.order.checkoutToken.text)", "\(FakeHouse.origin) 'self'"), ("/demo", "'none'"),
        // It says nothing of an order, and whose it would be nobody knows.
        ("/checkout/x", "*"),
      ] {
        try await client.execute(uri: path, method: .get) { response in
          let policy = response.headers[.init("Content-Security-Policy")!] ?? ""
          #expect(policy.hasSuffix("; frame-ancestors \(framedBy)"), "\(path): \(policy)")
        }
      }
    }
  }

  /// What is no page has them too, as far as they mean something there.
  @Test func noAnswerIsSniffedAndNothingOfAnOrderIsKept() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    house.know()
    let checkout = "/checkout/\(FakeHouse.order.checkoutToken.text)"
    try await Application(router: house.gate().router()).test(.router) { client in
      for path in [
        "/v1/orders", "/v1/orders/\(FakeHouse.order.id.text)", "/v1/events", "/v1/nothing", checkout + "/status",
        checkout + "/mark", "/payonce.js", "/openapi.json", "/healthz", "/nothing",
      ] {
        try await client.execute(uri: path, method: .get, headers: [.authorization: "Bearer \(key.text)"]) { response in
          #expect(response.headers[.contentTypeOptions] == "nosniff", "\(path)")
          if path.hasPrefix("/v1") || path.hasSuffix("/status") {
            #expect(response.headers[.cacheControl] == "no-store", "\(path)")
          }
        }
      }
      // A proxy that collects what it passes on would keep a stream's news to itself.
      try await client.execute(uri: checkout + "/stream", method: .head) { response in
        #expect(response.headers[.init("X-Accel-Buffering")!] == "no")
        #expect(response.headers[.cacheControl] == "no-store")
        #expect(response.headers[.contentType] == "text/event-stream")
      }
    }
  }
}
