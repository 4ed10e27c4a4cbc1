import HTTPTypes
import Hummingbird
import HummingbirdTesting
import PaymentCore
import PaymentEngine
import Site
import Testing

@Suite struct KeyRingTests {
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
    try await Application(router: house.gate().router()).test(.router) { client in
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

  @Test func keysAreKnownAtOnceAndForgottenSoon() async throws {
    let house = FakeHouse()
    let clock = StillClock()
    let application = Application(router: house.gate(clock: clock).router())
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
}
