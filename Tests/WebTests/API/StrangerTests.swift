import HTTPTypes
import PaymentCore
import Site
import Testing

/// What another merchant's key is told of an order: that there is none, whatever is wrong with the request. A complaint about
/// the request would say that the order exists.
@Suite struct StrangerTests {
  @Test func anotherMerchantsOrderIsNotFoundHoweverWrongTheRequest() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let order = try await visitor.order("a")
      let payment = try await visitor.pay(order, key: "k")
      let refund = try await visitor.post("/v1/payments/\(payment["id"])/refunds", #"{"amount":1}"#, key: "k")
      let stranger = Visitor(
        client: visitor.client, key: try await house.newKey("cups", MerchantID("mer_cups"), from: 100))
      #expect(try await stranger.get("/v1/orders").status == 200)
      let before = try await visitor.get("/v1/orders/\(order["id"])").text

      let (orderPath, paymentPath) = ("/v1/orders/\(order["id"])", "/v1/payments/\(payment["id"])")
      // Each with a key or without one, and with what is no JSON, no object, or no field.
      for path in ["/payments", "/close", "/reopen"].map({ orderPath + $0 })
        + ["/check", "/close", "/refunds"].map({ paymentPath + $0 })
      {
        for body in ["", "{nonsense", "[]", #"{"no_such_field":1}"#, #"{"expires_in":-1,"amount":"x","provider":7}"#] {
          for (key, wait) in [(nil, "1"), ("k2", "never"), ("k2", "1")] as [(String?, String)] {
            let answer = try await stranger.post(path, body, key: key, headers: [.prefer: "wait=\(wait)"])
            #expect(
              answer.status == 404 && answer["code"] == "not_found", "\(path) \(body) \(key ?? "-"): \(answer.text)")
          }
        }
        // To whom it belongs it is said what is wrong.
        #expect(try await visitor.post(path, "{nonsense", key: "k2").status == 400, "\(path)")
      }
      for path in [
        orderPath, "\(orderPath)/payments", "\(orderPath)/events", paymentPath, "\(paymentPath)/refunds",
        "/v1/refunds/\(refund["id"])",
      ] {
        for query in ["", "?stauts=1", "?after=x"] {
          let answer = try await stranger.get(path + query)
          #expect(answer.status == 404, "\(path)\(query): \(answer.status) \(answer.text)")
        }
        #expect(try await visitor.get("\(path)?stauts=1").status == 400, "\(path)")
      }
      #expect(try await stranger.get("/v1/orders?reference=a").ids == [])
      #expect(try await stranger.get("/v1/orders").ids == [])
      #expect(try await stranger.get("/v1/events").ids == [])
      #expect(try await visitor.get("/v1/orders/\(order["id"])").text == before)
    }
  }

  /// A checkout is opened by its order's id and its secret. The id alone, with another secret, is told that there is none.
  @Test func aTokenWithAnotherSecretOpensNothing() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let (order, other) = (try await visitor.order("a"), try await visitor.order("b"))
      let payment = try await visitor.pay(order, key: "k")
      // "ck_", the order's 26 characters, and its secret's.
      let prefix = "/checkout/".count + 29
      let forged = String(order.checkout.prefix(prefix) + other.checkout.dropFirst(prefix))
      #expect(forged != order.checkout && forged.count == order.checkout.count)
      for path in ["", "/status", "/status?wait=0", "/stream", "/mark", "/payments/\(payment["id"])/code.svg"] {
        #expect(try await visitor.get(forged + path).status == 404, "\(path)")
      }
      for path in ["/payments", "/payments/\(payment["id"])/close"] {
        let answer = try await visitor.post(forged + path, #"{"provider":"sandbox"}"#, key: "k")
        #expect(answer.status == 404, "\(path): \(answer.text)")
      }
      #expect(try await visitor.get(order.checkout + "/status")["status"] == "paid")
    }
  }
}
