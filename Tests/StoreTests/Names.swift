import OrderRows
import PaymentCore
import PaymentEngine

extension OrderID {
  init(at now: Instant, merchant: MerchantID, reference: String, random: UInt64) {
    self.init(at: now, number: Numbering.sha256.order(merchant, reference), random: random)
  }
}

extension OrderName {
  static func reference(_ merchant: MerchantID, _ reference: String) -> OrderName {
    .number(Numbering.sha256.order(merchant, reference))
  }
}

extension Scope {
  static func reference(_ merchant: MerchantID, _ reference: String) -> Scope { Scope(.reference(merchant, reference)) }
}
