import PaymentCore
import Site

/// The words for a live payment.
extension CheckoutPage {
  mutating func show(_ live: Payment, isAskable: Bool, _ language: Language) {
    let say = language.say
    state = .confirming
    headline = say("Being confirmed", "正在确认")
    if let failure = live.failure {
      notice = say("The bank declined: ", "银行拒绝：") + isolated(failure.message)
    }
    // A payment that was not sent can be closed without the provider.
    guard isAskable || !live.mayHaveLeft else {
      (headline, text) = Self.unaskable(language)
      return
    }
    if live.closeRequestedAt != nil {
      headline = say("Ending your earlier try", "正在结束上一次付款")
      text = say(
        "We are making sure that it cannot charge you any more. Then you can choose again. Do not pay elsewhere meanwhile.",
        "正在确保上一次付款不会再扣款，随后您可以重新选择。请勿同时用其他方式支付。")
      return
    }
    if live.nextAction != nil { acting = live }
    if live.unknownSince != nil {
      closable = live.id
      text =
        acting == nil
        ? say(
          "The bank has not told us yet whether you paid. We keep asking. Do not pay again: nothing is lost, and you will see the answer here.",
          "银行尚未告知付款结果，我们会持续查询。请不要重复支付：款项不会丢失，结果会显示在这里。")
        : say(
          "The bank does not tell us at the moment whether you paid. If you confirmed there, do not pay again: you will see the answer here. If you did not yet, you can go on there.",
          "暂时无法得知您是否已付款。如果您已在银行确认，请不要重复支付，结果会显示在这里；如果尚未确认，您可以继续前往。")
    } else if let action = live.nextAction {
      state = .action
      closable = live.id
      if case .qrCode = action {
        headline = say("Scan to pay", "扫码支付")
        text = say(
          "Scan this code with your phone and confirm there. This page shows it when it is done.",
          "请用手机扫描二维码并确认付款，完成后会显示在本页面。")
      } else {
        headline = say("Continue at the bank", "请前往银行完成付款")
        text = say(
          "Your payment is waiting for you there. This page shows it when it is done.", "付款正在等待您的确认，完成后会显示在本页面。")
      }
    } else if !live.mayHaveLeft {
      closable = live.id
      headline = say("Waiting for the bank", "正在等待银行")
      text = say(
        "Your payment was not sent yet: the bank cannot be reached, or is still being asked about an earlier try. It goes on by itself. Do not pay elsewhere meanwhile.",
        "您的付款尚未发出：暂时无法连接银行，或正在确认上一次付款。系统会自动继续，请勿同时用其他方式支付。")
    } else {
      text = say("Your payment is on its way. Do not pay again.", "付款正在处理中，请不要重复支付。")
    }
  }

  /// The words while the provider of the live payment is not one of this node's.
  static func unaskable(_ language: Language) -> (headline: String, text: String) {
    let say = language.say
    return (
      say("Not confirmed yet", "尚未确认"),
      say(
        "The bank cannot be asked at the moment whether you paid. Do not pay again: nothing is lost, and you will see the answer here.",
        "暂时无法向银行查询付款结果。请不要重复支付：款项不会丢失，结果会显示在这里。")
    )
  }
}
