import PaymentCore
import Site

/// The words for money that goes back: refunds of the kept payment, and surplus.
extension CheckoutPage {
  /// Shows how much of the kept payment went back, and how much is on its way: one sum of each.
  mutating func showRefunds(of kept: Payment, _ order: Order, _ language: Language) {
    let say = language.say
    let refunds = order.refunds.filter { $0.payment == kept.id }
    let received = kept.received ?? kept.amount
    func sum(_ status: Refund.Status) -> Int64 {
      refunds.lazy.filter { $0.status == status }.reduce(0) { $0 + $1.amount.amount }
    }
    func text(_ units: Int64) -> String { language.amount(Money(units, received.currency)) }
    let (back, coming) = (sum(.succeeded), sum(.processing))
    if back >= received.amount {
      state = .refunded
      headline = say("Refunded", "已退款")
      self.text = say("\(text(back)) was returned to you.", "已退回 \(text(back))。")
    } else if back > 0 {
      state = .refunded
      headline = say("Partly refunded", "已部分退款")
      self.text = say(
        "Of \(text(received.amount)) that was paid, \(text(back)) was returned to you.",
        "已支付 \(text(received.amount))，其中 \(text(back)) 已退回。")
    } else if coming >= received.amount {
      state = .refunded
      headline = say("Being refunded", "正在退款")
      self.text = say("\(text(received.amount)) was paid.", "已支付 \(text(received.amount))。")
    }
    if coming > 0 {
      returned.append(say("\(text(coming)) is on its way back to you.", "\(text(coming)) 正在退回。"))
    }
    if back + coming < received.amount, let last = refunds.last, last.status == .failed {
      let money = language.amount(last.amount)
      returned.append(
        say("A refund of \(money) did not go through. Please ask the shop.", "\(money) 的退款未成功，请联系商家。"))
    }
  }

  /// What an order that is not paid has cost the buyer so far.
  static func charged(_ order: Order, _ language: Language) -> String {
    let say = language.say
    if hasSurplus(order) {
      if order.refunds.contains(where: { $0.status == .failed || isStuck($0, order) }) {
        return say("Money that came for it goes back to you.", "为此订单收到的款项会退回给您。")
      }
      return say("Money that came for it goes back to you by itself.", "为此订单收到的款项会自动退回给您。")
    }
    guard order.payments.contains(where: \.isWatched) else { return say("You were not charged.", "您没有被扣款。") }
    return order.status == .open || order.closeReason == .expired && order.registration.latePayment == .accept
      ? say(
        "So far you have not been charged. If the bank still takes the money of an earlier try, it counts for this order.",
        "目前您没有被扣款。如果银行之后仍为之前的付款扣款，该款项计入此订单。")
      : say(
        "So far you have not been charged. If the bank still takes the money of an earlier try, it goes back to you by itself.",
        "目前您没有被扣款。如果银行之后仍为之前的付款扣款，会自动退回给您。")
  }

  /// The surplus that went back to the buyer, or is about to: one sentence for each refund.
  static func returned(_ order: Order, _ language: Language) -> [String] {
    let say = language.say
    let kept = order.keptPayment?.id
    return order.refunds.filter { $0.payment != kept && ($0.status != .failed || isStuck($0, order)) }.map { refund in
      let money = language.amount(refund.amount)
      let what: (String, String) =
        switch order.payment(refund.payment)?.surplus {
        case .duplicate: ("Your second payment of \(money)", "您的第二笔付款 \(money)")
        case .late: ("Your payment of \(money), which came too late,", "您迟到的付款 \(money)")
        case .mismatch: ("Your payment of \(money), which was not the right amount,", "您金额不符的付款 \(money)")
        case nil: (money, money)
        }
      if refund.status == .succeeded { return say("\(what.0) was returned to you.", "\(what.1) 已退回。") }
      return isStuck(refund, order)
        ? say("\(what.0) could not be returned yet. Somebody is looking into it.", "\(what.1) 暂未退回，正在人工处理。")
        : say("\(what.0) is being returned to you.", "\(what.1) 正在退回。")
    }
  }

  /// Whether surplus money came in.
  static func hasSurplus(_ order: Order) -> Bool { order.payments.contains { $0.surplus != nil } }

  /// Whether the refund has an open case, so that a person has to act.
  private static func isStuck(_ refund: Refund, _ order: Order) -> Bool {
    order.cases.contains { $0.refund == refund.id && $0.resolvedAt == nil }
  }
}
