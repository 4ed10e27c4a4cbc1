import Contract
import Hummingbird
import Mustache
import PaymentCore
import PaymentEngine

/// What the checkout page shows, as plain values: the page is a pure function of the order and the language.
struct CheckoutPage {
  /// Which of the pages it is; also a class of the body, for the style and for tests.
  enum State: String { case ready, action, confirming, paid, closed }

  struct Choice {
    let value: String
    let label: String
    let note: String
    let isFirst: Bool
  }

  let state: State
  let headline: String
  let text: String
  /// What happened before, such as a declined try.
  let notice: String?
  let returned: [String]
  let action: NextAction?
  let choices: [Choice]
  let closable: PaymentID?

  init(_ order: Order, methods: [BuyerMethod], language: Language) {
    let say = language.say
    let amount = language.amount(order.registration.amount)
    let live = order.livePayment
    returned = order.refunds.filter { $0.status != .failed }.map { refund in
      let money = language.amount(refund.amount)
      switch (refund.cause, refund.status) {
      case (.surplus, .succeeded):
        return say("A second payment of \(money) was returned to you.", "您的第二笔付款 \(money) 已退回。")
      case (.surplus, _):
        return say("A second payment of \(money) is being returned to you.", "您的第二笔付款 \(money) 正在退回。")
      case (.requested, .succeeded): return say("\(money) was refunded to you.", "已向您退款 \(money)。")
      case (.requested, _): return say("\(money) is being refunded to you.", "正在向您退款 \(money)。")
      }
    }
    var action: NextAction?
    var notice: String?
    var closable: PaymentID?
    switch order.status {
    case .paid:
      state = .paid
      headline = say("Paid", "支付成功")
      text = say("\(amount) was paid. There is nothing left to do.", "已支付 \(amount)，无需再做任何操作。")
    case .closing:
      state = .confirming
      headline = say("Being confirmed", "正在确认")
      text = say(
        "The time for this order is over. We are asking the bank how your payment ended. Do not pay again.",
        "订单已到期，正在向银行确认您的付款结果。请不要重复支付。")
    case .closed:
      state = .closed
      headline =
        order.closeReason == .expired ? say("Time is up", "订单已过期") : say("Closed by the shop", "商家已关闭订单")
      text = say(
        "This order can no longer be paid. You were not charged for it, or the money is on its way back.",
        "此订单不能再支付。您没有被扣款，或款项正在退回。")
    case .open:
      if let live, live.closeRequestedAt != nil {
        state = .confirming
        headline = say("Ending your earlier try", "正在结束上一次付款")
        text = say(
          "We are making sure that it cannot charge you any more. Then you can choose again. Do not pay elsewhere meanwhile.",
          "正在确保上一次付款不会再扣款，随后您可以重新选择。请勿同时用其他方式支付。")
      } else if let live, live.status == .requiresAction, live.nextAction != nil {
        state = .action
        headline = say("Continue at the bank", "请前往银行完成付款")
        text = say(
          "Your payment is waiting for you there. This page will know as soon as it is done.",
          "付款正在等待您的确认，完成后本页面会自动更新。")
        action = live.nextAction
        closable = live.id
      } else if let live {
        state = .confirming
        headline = say("Being confirmed", "正在确认")
        text =
          live.unknownSince != nil
          ? say(
            "The bank has not told us yet whether you paid. We keep asking. Do not pay again: nothing is lost, and you will see the answer here.",
            "银行尚未告知付款结果，我们会持续查询。请不要重复支付：款项不会丢失，结果会显示在这里。")
          : say(
            "Your payment is on its way. Do not pay again.", "付款正在处理中，请不要重复支付。")
        closable = live.unknownSince == nil ? nil : live.id
      } else {
        state = .ready
        headline = say("Pay \(amount)", "支付 \(amount)")
        text = say("Choose how you want to pay.", "请选择支付方式。")
        if let last = order.payments.last {
          notice =
            last.status == .failed
            ? say(
              "Your last try was declined. You were not charged. You can try again.", "上次付款被拒绝，没有扣款，您可以重试。")
            : say(
              "Your last try was ended. You were not charged. You can choose again.", "上次付款已结束，没有扣款，您可以重新选择。")
        }
      }
    }
    if let live, let failure = live.failure, notice == nil {
      notice = say("The bank declined: \(failure.message)", "银行拒绝：\(failure.message)")
    }
    self.action = action
    self.notice = notice
    self.closable = closable
    choices =
      state == .ready
      ? methods.enumerated().map { index, method in
        Choice(
          value: "\(method.provider.text):\(method.method)", label: Self.label(method, language).name,
          note: Self.label(method, language).note, isFirst: index == 0)
      } : []
  }

  private static func label(_ method: BuyerMethod, _ language: Language) -> (name: String, note: String) {
    let say = language.say
    guard method.provider.text == "sandbox" else { return (method.method, method.provider.text) }
    switch method.method {
    case "ok": return (say("Sandbox card", "沙盒银行卡"), say("succeeds at once", "立即成功"))
    case "declined": return (say("Empty card", "余额不足的卡"), say("is declined", "会被拒绝"))
    case "action": return (say("Bank page", "银行页面"), say("you confirm at the bank", "在银行页面确认"))
    case "slow": return (say("Slow bank", "慢速银行"), say("takes three seconds", "需要三秒"))
    case "lost": return (say("Lost answer", "丢失应答"), say("takes the money and never answers", "扣款但不应答"))
    case "late": return (say("Late bank", "迟到的银行"), say("may succeed after it was closed", "关闭后仍可能成功"))
    default: return (method.method, "")
    }
  }
}

extension WebServices {
  func page(_ order: Order, _ request: Request) async throws -> Response {
    let language = Language(request)
    let page = CheckoutPage(order, methods: methods(for: order), language: language)
    let say = language.say
    let token = order.checkoutToken.text
    let other: Language = language == .english ? .chinese : .english
    var qr: String?
    var redirect: String?
    switch page.action {
    case .redirect(let url): redirect = url
    case .qrCode(let content): qr = content
    case .clientSecret, nil: break
    }
    let html = PageTemplate.checkout.fill([
      "lang": language.rawValue == "zh" ? "zh-CN" : "en",
      "languageValue": language.rawValue,
      "otherLanguage": other.rawValue,
      "otherLanguageName": other == .english ? "English" : "中文",
      "title": "\(page.headline) · \(try await shopName(order))",
      "shop": try await shopName(order),
      "amount": language.amount(order.registration.amount),
      "description": order.registration.description,
      "state": page.state.rawValue,
      "version": order.version,
      "tries": order.payments.count,
      "headline": page.headline,
      "text": page.text,
      "notice": page.notice,
      "returned": page.returned,
      "base": "/checkout/\(token)",
      "key": "page-" + String(random128(), radix: 36),
      "choices": page.choices.map {
        ["value": $0.value, "label": $0.label, "note": $0.note, "checked": $0.isFirst ? "checked" : ""]
      },
      "isReady": page.state == .ready,
      "isConfirming": page.state == .confirming,
      "redirect": redirect,
      "qr": qr,
      "closable": page.closable?.text,
      "returnURL": page.state == .paid || page.state == .closed ? order.registration.returnURL : nil,
      "expiresAt": order.status == .open ? order.expiresAt.rfc3339 : "",
      "deadline": order.status == .open ? String(order.expiresAt.rfc3339.dropLast(8).suffix(5)) : "",
      "now": engine.clock.now().rfc3339,
      "payLabel": say("Pay", "支付"),
      "payingLabel": say("Asking the bank…", "正在询问银行…"),
      "continueLabel": say("Continue at the bank", "前往银行"),
      "closeLabel": say("Choose another way", "换一种方式"),
      "backLabel": say("Back to the shop", "返回商家"),
      "methodsLabel": say("Payment method", "支付方式"),
      "deadlineLabel": say("Please pay before", "请在此时间前支付"),
      "timeLeft": say("{at} ({left} left)", "{at}（剩余 {left}）"),
      "offlineLabel": say(
        "You seem to be offline. Your payment is safe; do not pay again. We go on as soon as you are back.",
        "您似乎已离线。付款是安全的，请不要重复支付。恢复网络后会继续。"),
      "promise": say("An order keeps at most one payment.", "一笔订单最多只收取一次付款。"),
      "scanLabel": say("Scan this code with your app", "请用手机扫描此二维码"),
    ])
    return .page(html, formTargets: redirectOrigins)
  }

  static func noSuchCheckout(_ request: Request) -> Response {
    let language = Language(request)
    let html = PageTemplate.missing.fill([
      "lang": language.rawValue,
      "headline": language.say("There is no such order", "订单不存在"),
      "text": language.say(
        "The address is incomplete or out of date. Please go back to the shop.", "地址不完整或已失效，请返回商家。"),
    ])
    return .page(html, status: .notFound)
  }
}
