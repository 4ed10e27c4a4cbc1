import HTTPTypes
import Hummingbird
import HummingbirdTesting
import PaymentCore
import PaymentEngine
import Site
import Testing

@Suite struct CheckoutRouteTests {
  /// Whoever asks for the head of a stream listens to nothing.
  @Test func theHeadOfAStreamListensToNothing() async throws {
    let house = FakeHouse()
    house.know()
    let gate = house.gate()
    try await Application(router: gate.router()).test(.router) { client in
      let uri = "/checkout/\(FakeHouse.order.checkoutToken.text)/stream"
      for _ in 1...3 {
        try await client.execute(uri: uri, method: .head) { #expect($0.status == .ok) }
      }
    }
    #expect(gate.engine.listeners.count == 0)
  }

  /// What a browser asks before a shop's page may call is an answer like every other.
  @Test func aPreflightHasAnId() async throws {
    let house = FakeHouse()
    house.know()
    try await Application(router: house.gate().router()).test(.router) { client in
      let uri = "/checkout/\(FakeHouse.order.checkoutToken.text)/payments"
      for (origin, isAllowed) in [(FakeHouse.origin, true), ("https://other.example", false)] {
        let headers: HTTPFields = [.origin: origin, .accessControlRequestMethod: "POST"]
        try await client.execute(uri: uri, method: .options, headers: headers) { response in
          #expect(response.status == .noContent && response.headers[.requestID]?.isEmpty == false)
          #expect((response.headers[.accessControlAllowOrigin] == origin) == isAllowed)
        }
      }
    }
  }

  /// The demo shows its buyers' checkout inside of its own pages; no other shop has pages on this server.
  @Test func withoutAShowcaseThisServersPagesFrameNothing() async throws {
    try await LivingHouse().open { visitor in
      let page = try await visitor.get(try await visitor.order("a").checkout)
      #expect(page.headers[.init("Content-Security-Policy")!]?.hasSuffix("; frame-ancestors 'none'") == true)
    }
  }
}
