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
        "/v1/payments/pay_\(String(repeating: "0", count: 27))1", "/v1/orders?reference=a", "/readyz",
        "/checkout/\(token)", "/checkout/\(token)/status", "/checkout/\(token)/stream",
      ] {
        try await client.execute(uri: uri, method: .get, headers: headers) { response in
          #expect(response.status == .serviceUnavailable, "\(uri) is \(response.status)")
          #expect(response.headers[.contentType] == "application/problem+json")
          #expect(response.headers[.retryAfter] != nil)
          #expect(response.headers[.requestID] != nil)
          #expect(!String(buffer: response.body).contains("no disk"), "what broke is for the log")
        }
      }
      try await client.execute(uri: "/healthz", method: .get) { #expect($0.status == .ok) }
      house.fail(nil)
      try await client.execute(uri: "/v1/orders/\(id)", method: .get, headers: headers) {
        #expect($0.status == .notFound)
      }
    }
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
