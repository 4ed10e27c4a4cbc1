import PaymentEngine
import Testing

@testable import Web

/// A store that can be read and not written takes no payment, and `readyz` says so.
@Suite struct ReadinessTests {
  @Test(arguments: [Fault.unavailable("disk full"), .unknownCommit])
  func whoCanReadAndNotWriteIsNotReady(_ fault: Fault) async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let ready = try await visitor.get("/readyz")
      #expect(ready.status == 200)
      house.store.fail(fault)
      #expect(try await visitor.get("/v1/orders").status == 200, "it can be read")
      #expect(try await visitor.get("/readyz").status == 503)
      #expect(try await visitor.get("/healthz").status == 200)
      house.store.fail(nil)
      #expect(try await visitor.get("/readyz")["status"] == "ready")
    }
  }
}
