import HTTPTypes
import PaymentCore
import PaymentEngine
import Simulation
import Testing

/// A provider sends a notice again until it is acknowledged: so nothing is acknowledged that is not stored.
@Suite struct NoticeTests {
  private static let path = "/providers/sandbox/notices"

  @Test(arguments: [Fault.unavailable("no disk"), .conflict, .unknownCommit, .overloaded])
  func whatIsNotStoredIsNotAcknowledged(_ fault: Fault) async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      house.bank.answer(charges: .pending(.redirect(url: "https://bank.example/")))
      house.bank.answer(queries: .pending(nil))
      let order = try await visitor.order("a")
      let payment = try #require(PaymentNumber(text: try await visitor.pay(order, key: "k")["number"]))
      let paid = PaymentEvidence.Verdict.succeeded(Money(1999, Currency(code: "CNY")!))
      house.bank.send(
        .evidence(.payment(.init(number: payment, provider: house.bank.name, verdict: paid))))
      house.store.fail(fault)
      let refused = try await visitor.post(Self.path, "{}")
      #expect(refused.status == 503 && refused.headers[.retryAfter] != nil, "\(refused.status) \(refused.text)")
      house.store.fail(nil)
      #expect(try await visitor.get("/v1/orders/\(order["id"])")["status"] == "open")
      #expect(try await visitor.post(Self.path, "{}").status == 204)
      #expect(try await visitor.get("/v1/orders/\(order["id"])")["status"] == "paid")
    }
  }

  @Test func whatIsUnderstoodIsAcknowledgedAndWhatProvesNothingIsNot() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      #expect(try await visitor.post(Self.path, "{}").status == 401)
      #expect(try await visitor.post("/providers/nobody/notices", "{}").status == 404)
      house.bank.send(.irrelevant)
      let answer = try await visitor.post(Self.path, "{}")
      #expect(answer.status == 204 && answer.text.isEmpty)
      // About nothing of this bank's here: sending it again would not help.
      let order = Numbering.simulated.order(LivingHouse.merchant, "z")
      let nobodys = PaymentEvidence(
        number: PaymentNumber(order: order, ordinal: 1), provider: house.bank.name, verdict: .closed)
      house.bank.send(.evidence(.payment(nobodys)))
      #expect(try await visitor.post(Self.path, "{}").status == 204)
    }
  }
}
