import PaymentCore
import PaymentEngine
import Site
import Testing

/// Lists are narrowed down and paged as they say.
@Suite struct PagingTests {
  @Test func ordersAreNarrowedDownByTheirStatus() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let (open, paid, closed) = (
        try await visitor.order("open"), try await visitor.order("paid"), try await visitor.order("closed")
      )
      #expect(try await visitor.pay(paid, key: "k").status == 201)
      #expect(try await visitor.post("/v1/orders/\(closed["id"])/close").status == 200)
      for (query, expected) in [
        ("", [open, paid, closed]), ("?status=open", [open]), ("?status=paid", [paid]), ("?status=closed", [closed]),
        ("?status=closing", []), ("?status=paid&reference=paid", [paid]), ("?status=open&reference=paid", []),
        ("?status=open&limit=1", [open]),
      ] {
        let found = try await visitor.get("/v1/orders\(query)")
        #expect(found.ids.sorted() == expected.map { $0["id"] }.sorted(), "\(query)")
        #expect(found["next"] == "null", "\(query)")
      }
      #expect(try await visitor.get("/v1/orders?status=Open").status == 400)
    }
  }

  @Test func ordersComePageByPage() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      var all: [String] = []
      for number in 1...5 {
        all.insert(try await visitor.order("\(number)")["id"], at: 0)
        house.clock.skip(.seconds(1))
      }
      for limit in 1...6 {
        var (read, after) = ([] as [String], "")
        for page in 1... {
          let answer = try await visitor.get("/v1/orders?limit=\(limit)\(after)")
          read += answer.ids
          #expect(answer.ids.count == min(limit, 5 - (page - 1) * limit), "page \(page) of \(limit)")
          guard answer["next"] != "null" else { break }
          #expect(answer["next"] == read.last)
          after = "&after=\(answer["next"])"
        }
        #expect(read == all, "\(limit) at a time")
      }
    }
  }

  @Test func anOrdersEventsComePageByPage() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let order = try await visitor.order("a")
      #expect(try await visitor.pay(order, key: "k").status == 201)
      let events = "/v1/orders/\(order["id"])/events"
      let all = try await visitor.get(events)
      let types = (0..<4).map { all["data.\($0).type"] }
      #expect(types == ["order.created", "payment.started", "payment.succeeded", "order.paid"])
      #expect((0..<4).map { all["data.\($0).sequence"] } == ["1", "2", "3", "4"] && all["next"] == "null")
      for after in 0...5 {
        for limit in 1...5 {
          let page = try await visitor.get("\(events)?after=\(after)&limit=\(limit)")
          let expected = Array(all.ids.dropFirst(after).prefix(limit))
          #expect(page.ids == expected, "\(limit) after \(after)")
          let isLast = after + limit >= 4
          #expect(page["next"] == (isLast ? "null" : "\(after + limit)"), "\(limit) after \(after)")
        }
      }
      for query in ["after=-1", "after=x", "limit=0", "limit=1001", "after=1.0"] {
        #expect(try await visitor.get("\(events)?\(query)").status == 400, "\(query)")
      }
    }
  }

  @Test func theFeedGoesOnWhereItWasLeft() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      for number in 1...3 { _ = try await visitor.order("\(number)") }
      let all = try await visitor.get("/v1/events")
      #expect(all.ids.count == 3)
      var (read, after) = ([] as [String], "0")
      for _ in 1...3 {
        let page = try await visitor.get("/v1/events?limit=1&after=\(after)")
        #expect(page.ids.count == 1 && page["next"] != after)
        read += page.ids
        after = page["next"]
      }
      #expect(read == all.ids && after == all["next"])
      let end = try await visitor.get("/v1/events?after=\(after)")
      #expect(end.ids == [] && end["next"] == after, "to ask again later")
      _ = try await visitor.order("4")
      #expect(try await visitor.get("/v1/events?after=\(after)").ids.count == 1)
    }
  }

  /// An order with money of two payments, of which each went back.
  @Test func refundsAreThoseOfOnePayment() async throws {
    let house = LivingHouse()
    try await house.open { visitor in
      let order = try await visitor.order("a")
      house.bank.answer(charges: .succeeded(Money(2000, Currency(code: "CNY")!)))
      let wrong = try await visitor.pay(order, key: "1")
      #expect(wrong["surplus"] == "mismatch")
      house.bank.answer(charges: nil)
      let right = try await visitor.pay(order, key: "2")
      #expect(right["status"] == "succeeded" && right["surplus"] == "null")
      let refunds = { (payment: Answer) in "/v1/payments/\(payment["id"])/refunds" }
      for (amount, key) in [(5, "k"), (7, "l")] {
        #expect(try await visitor.post(refunds(right), #"{"amount":\#(amount)}"#, key: key).status == 201)
      }
      let back = try await visitor.get(refunds(wrong))
      #expect(back.ids.count == 1 && back["data.0.amount"] == "2000" && back["data.0.cause"] == "surplus")
      #expect(back["data.0.payment"] == wrong["id"])
      let asked = try await visitor.get(refunds(right))
      #expect([asked["data.0.amount"], asked["data.1.amount"]] == ["5", "7"] && asked.ids.count == 2)
      #expect([asked["data.0.payment"], asked["data.1.payment"]] == [right["id"], right["id"]])
    }
  }
}
