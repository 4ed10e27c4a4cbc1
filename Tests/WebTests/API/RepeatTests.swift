import HTTPTypes
import Site
import Testing

/// A request that is sent again is told from one that did something.
@Suite struct RepeatTests {
  @Test func aRepeatIsSaidToBeOne() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let order = try await visitor.order("a")
      let again = try await visitor.post("/v1/orders", #"{"reference":"a","amount":1999,"currency":"CNY"}"#)
      #expect(again.status == 200 && again["id"] == order["id"])

      var payments: [String] = []
      for isRepeat in [false, true, true] {
        let payment = try await visitor.pay(order, key: "k")
        #expect(payment.headers[.idempotencyReplayed] == (isRepeat ? "true" : nil))
        payments.append(payment["id"])
      }
      #expect(Set(payments).count == 1)
      let onThePage = try await visitor.post("\(order.checkout)/payments", #"{"provider":"sandbox"}"#, key: "k")
      #expect(onThePage["id"] == payments[0] && onThePage.headers[.idempotencyReplayed] == "true")

      var refunds: [String] = []
      for (key, isRepeat) in [("1", false), ("1", true), ("2", false), ("1", true), ("2", true)] {
        let refund = try await visitor.post("/v1/payments/\(payments[0])/refunds", #"{"amount":1}"#, key: key)
        #expect(refund.status == 201 && refund["amount"] == "1")
        #expect(refund.headers[.idempotencyReplayed] == (isRepeat ? "true" : nil), "\(key)")
        #expect(refund.headers[.location] == "/v1/refunds/\(refund["id"])")
        refunds.append(refund["id"])
      }
      #expect(refunds[0] == refunds[1] && refunds[0] == refunds[3] && refunds[2] == refunds[4])
      #expect(Set(refunds).count == 2)
      #expect(try await visitor.get("/v1/orders/\(order["id"])")["amount_refunded"] == "2")
    }
  }
}
