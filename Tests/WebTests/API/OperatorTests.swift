import Foundation
import HTTPTypes
import PaymentCore
import PaymentEngine
import Simulation
import Testing

/// What an operator's programs see and decide.
@Suite struct OperatorTests {
  private static func cases(_ answer: Answer) throws -> [[String: Any]] {
    let list = try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any]
    return try #require(list?["data"] as? [[String: Any]])
  }

  private static func object(_ answer: Answer) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(answer.text.utf8)) as? [String: Any])
  }

  @Test func casesAreListedReadAndResolved() async throws {
    let house = LivingHouse()
    let login = try await house.newLogin("ann")
    try await house.open { shop in
      let ann = Visitor(client: shop.client, key: login)
      #expect(try Self.cases(try await ann.get("/v1/operator/cases")).isEmpty)
      // Another amount than was asked for, and money for an order that nobody registered.
      house.bank.answer(charges: .succeeded(Money(1, Currency(code: "CNY")!)))
      let payment = try await shop.pay(try await shop.order("odd"), key: "k")
      let number = PaymentNumber(order: Numbering.simulated.order(LivingHouse.merchant, "lost"), ordinal: 3)
      let money = Money(700, Currency(code: "CNY")!)
      house.bank.send(
        .evidence(.payment(.init(number: number, provider: house.bank.name, verdict: .succeeded(money)))))
      #expect(try await shop.post("/providers/sandbox/notices", "{}").status == 204)

      let open = try Self.cases(try await ann.get("/v1/operator/cases"))
      #expect(open.map { $0["reason"] as? String } == ["wrong_amount", "unknown_payment"])
      #expect(open[0]["payment"] as? String == payment["id"] && open[0]["number"] as? String == payment["number"])
      #expect(open[0]["reference"] as? String == "odd" && open[0]["merchant"] as? String == "tea")
      #expect(open[1]["order"] is NSNull && open[1]["payment"] is NSNull && open[1]["merchant"] is NSNull)
      #expect(open[1]["number"] as? String == number.text && open[1]["amount"] as? Int == 700)

      let odd = "/v1/operator/cases/\(open[0]["id"]!)"
      let choices = try #require(try Self.object(try await ann.get(odd))["choices"] as? [[String: String]])
      #expect(choices.map { $0["choice"] } == ["acknowledge"])
      for (body, field) in [
        ("{}", "choice"), (#"{"choice":"burn"}"#, "choice"), (#"{"choice":"retry","note":7}"#, "note"),
      ] {
        let refused = try await ann.post(odd + "/resolve", body)
        #expect(refused.status == 400 && refused.text.contains(#""field":"\#(field)""#), "\(refused.text)")
      }
      let other = try await ann.post(odd + "/resolve", #"{"choice":"retry"}"#)
      #expect(other.status == 400 && other.text.contains("acknowledge"))
      for _ in 1...2 {
        let done = try await ann.post(odd + "/resolve", #"{"choice":"acknowledge","note":"seen it"}"#)
        #expect(done.status == 200 && done["status"] == "resolved" && done["choice"] == "acknowledge", "\(done.text)")
        #expect(done["resolved_by"] == "ann" && done["resolved_note"] == "seen it")
      }
      #expect(try await ann.get(odd)["resolved_note"] == "seen it")
      // It is over.
      let late = try await ann.post(odd + "/resolve", #"{"choice":"settled_outside"}"#)
      #expect(late.status == 400 && late.text.contains("resolved"))
      let stray = "/v1/operator/cases/\(open[1]["id"]!)"
      #expect(try await ann.post(stray + "/resolve", #"{"choice":"settled_outside"}"#)["status"] == "resolved")
      #expect(try await ann.get(stray)["choice"] == "settled_outside")
      #expect(try Self.cases(try await ann.get("/v1/operator/cases")).isEmpty)
      // The shop hears what was chosen, and not by whom.
      let events = try await shop.get("/v1/orders/\(payment["order"])/events").text
      #expect(events.contains("case.resolved") && !events.contains("ann") && !events.contains("seen it"))
    }
  }

  @Test func onlyOperatorsAreLetIn() async throws {
    let house = LivingHouse()
    let login = try await house.newLogin("ann")
    try await house.open { shop in
      let ann = Visitor(client: shop.client, key: login)
      let nothing = "/v1/operator/cases/cas_" + String(repeating: "0", count: 27) + "1"
      for path in ["/v1/operator/cases", nothing] {
        let refused = try await shop.get(path)
        #expect(refused.status == 401 && refused.text.contains("--operator"), "\(refused.text)")
      }
      #expect(try await shop.post(nothing + "/resolve", #"{"choice":"acknowledge"}"#).status == 401)
      for path in [nothing, "/v1/operator/cases/cas_x"] { #expect(try await ann.get(path).status == 404) }
      #expect(try await ann.post(nothing + "/resolve", "{}").status == 404, "however wrong the request is")
      let misspelt = try await ann.get("/v1/operator/cases?stauts=open")
      #expect(misspelt.status == 400 && misspelt.text.contains(#""field":"stauts""#))
      #expect(try await ann.get("/v1/orders").status == 401, "a login opens no shop")
    }
  }
}
