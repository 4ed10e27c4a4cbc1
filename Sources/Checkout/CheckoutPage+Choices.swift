import Contract
import PaymentCore
import Site

/// The ways to pay, or why there are none.
extension CheckoutPage {
  /// Offers the ways to pay, and says how the last try ended.
  mutating func offer(_ methods: [BuyerMethod], after order: Order, _ language: Language) {
    let say = language.say
    choices = methods.enumerated().map { index, method in
      let (name, note) = Self.label(method, language)
      return Choice(
        value: "\(method.provider.text):\(method.method)", label: name, note: note, isFirst: index == 0)
    }
    if choices.isEmpty {
      text = say(
        "There is no way to pay this order at the moment. Please go back to the shop.", "目前没有可用的支付方式，请返回商家。")
    }
    guard let last = order.payments.last else { return }
    let charged = Self.charged(order, language)
    switch last.status {
    case .failed:
      state = .failed
      headline =
        order.payments.dropLast().last?.status == .failed
        ? say("The bank declined again", "银行再次拒绝了付款") : say("The bank declined", "银行拒绝了付款")
      text = charged + language.space + say("You can try again, or choose another way to pay.", "您可以重试，或选择其他支付方式。")
    // Its money is surplus. `returned` says what becomes of that.
    case .succeeded: notice = returned.isEmpty ? charged : nil
    case .processing, .requiresAction, .closed:
      notice = say("Your last try was ended.", "上次付款已结束。") + language.space + charged
    }
  }

  /// Says why nothing can be chosen after many declined tries.
  mutating func show(_ brake: DeclineBrake.Position, after order: Order, _ language: Language) {
    let say = language.say
    let reason: String
    switch brake {
    case .open: return
    case .paused(let end):
      retryAt = end
      reason = say("Too many tries were declined. There is a pause before the next one.", "被拒绝的次数过多，需稍后再试。")
    case .ended:
      reason = say(
        "Too many tries were made, and this order takes no more of them. Please go back to the shop and order again.",
        "尝试次数过多，此订单不再接受付款。请返回商家重新下单。")
    }
    if state == .ready { headline = say("Not paid", "尚未支付") }
    text = (state == .failed ? Self.charged(order, language) + language.space : "") + reason
  }

  private static func label(_ method: BuyerMethod, _ language: Language) -> (name: String, note: String) {
    let say = language.say
    guard method.provider.text == "sandbox" else { return (method.method, method.provider.text) }
    switch method.method {
    case "ok": return (say("Sandbox card", "沙盒银行卡"), say("succeeds at once", "立即成功"))
    case "declined": return (say("Empty card", "余额不足的卡"), say("is declined", "会被拒绝"))
    case "action": return (say("Bank page", "银行页面"), say("you confirm at the bank", "在银行页面确认"))
    case "qr": return (say("QR code", "二维码"), say("you confirm on your phone", "在手机上确认"))
    case "slow": return (say("Slow bank", "慢速银行"), say("takes three seconds", "需要三秒"))
    case "lost": return (say("Lost answer", "丢失应答"), say("takes the money and never answers", "扣款但不应答"))
    case "late": return (say("Late bank", "迟到的银行"), say("may succeed after it was closed", "关闭后仍可能成功"))
    default: return (method.method, "")
    }
  }
}
