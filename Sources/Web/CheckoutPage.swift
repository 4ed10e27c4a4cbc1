import Contract
import HTTPTypes
import Hummingbird
import Mustache
import PaymentCore
import PaymentEngine

/// What the checkout page shows, as plain values: the page is a pure function of the order and the language.
struct CheckoutPage {
  /// Which of the pages it is; also a class of the body, for the style and for tests.
  enum State: String {
    case ready, failed, action, confirming, paid, refunded, closed

    /// Nothing that the buyer could do, or that could still be found out, is left.
    var isFinal: Bool { self == .paid || self == .refunded || self == .closed }
    /// It becomes another one by itself.
    var isWaiting: Bool { self == .confirming || self == .action }
    /// Who goes back to the shop now is not about to pay a second time.
    var isSafeToLeave: Bool { self != .confirming }
  }

  struct Choice {
    let value: String
    let label: String
    let note: String
    let isFirst: Bool
  }

  private(set) var state: State
  private(set) var headline: String
  private(set) var text: String
  /// What happened before, such as a declined try.
  private(set) var notice: String?
  private(set) var returned: [String]
  /// The payment that is under way, while the buyer has to do something for it.
  private(set) var acting: Payment?
  private(set) var choices: [Choice] = []
  private(set) var closable: PaymentID?
  /// The payment that the bank is being asked about.
  private(set) var asked: Payment?
  /// When there is something to choose from again, where only time is needed.
  private(set) var retryAt: Instant?

  /// - Parameters:
  ///   - brake: whether another try may start.
  ///   - isAskable: whether the provider of the payment under way, if there is one, can be asked here.
  ///   - isElsewhere: the page could pay, and then somebody else's try came first.
  init(
    _ order: Order, methods: [BuyerMethod], brake: DeclineBrake.Position, isAskable: Bool, isElsewhere: Bool,
    language: Language
  ) {
    let say = language.say
    let amount = language.amount(order.registration.amount)
    returned = Self.returned(order, language)
    switch order.status {
    case .paid:
      state = .paid
      headline = say("Paid", "支付成功")
      text = say("\(amount) was paid. There is nothing left to do.", "已支付 \(amount)，无需再做任何操作。")
      if order.payments.contains(where: { $0.surplus == .duplicate }) {
        headline = say("Paid once", "只收取了一次")
        text = say(
          "\(amount) was paid. A second payment came in, and this order does not keep it.",
          "已支付 \(amount)。收到了第二笔付款，此订单不会保留该款项。")
      } else if isElsewhere, !Self.hasSurplus(order) {
        headline = say("Paid already", "已经支付")
        text = say(
          "\(amount) was paid in another tab or on another device. You were charged once, and there is nothing left to do.",
          "已在其他标签页或设备上支付 \(amount)。您只被扣款一次，无需再做任何操作。")
      }
      if let kept = order.keptPayment { showRefunds(of: kept, order, language) }
    case .closing:
      state = .confirming
      asked = isAskable ? order.livePayment : nil
      let unaskable = Self.unaskable(language)
      headline = isAskable ? say("Being confirmed", "正在确认") : unaskable.headline
      let reason =
        order.closeReason == .cancelled
        ? say("The shop is closing this order.", "商家正在关闭此订单。")
        : say("The time for this order is over.", "订单已到期。")
      let answer =
        isAskable
        ? say("We are asking the bank how your payment ended. Do not pay again.", "正在向银行确认您的付款结果。请不要重复支付。")
        : unaskable.text
      text = reason + language.space + answer
    case .closed:
      state = .closed
      headline =
        order.closeReason == .expired ? say("Time is up", "订单已过期") : say("Closed by the shop", "商家已关闭订单")
      text = say("This order can no longer be paid.", "此订单不能再支付。") + language.space + Self.charged(order, language)
    case .open:
      state = .ready
      headline = say("Pay \(amount)", "支付 \(amount)")
      text = say("Choose how you want to pay.", "请选择支付方式。")
      if let live = order.livePayment {
        show(live, isAskable: isAskable, language)
        if state == .confirming, isAskable { asked = live }
        if isElsewhere {
          returned.append(
            say(
              "This payment was started in another tab or on another device. No second one was started here.",
              "这笔付款是在其他标签页或设备上发起的，此处没有发起第二笔。"))
        }
      } else {
        offer(methods, after: order, language)
        show(brake, after: order, language)
      }
    }
  }

  /// What went back of the payment that the order keeps, and what is on its way: one sum of each.
  private mutating func showRefunds(of kept: Payment, _ order: Order, _ language: Language) {
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

  /// The payment that is under way.
  private mutating func show(_ live: Payment, isAskable: Bool, _ language: Language) {
    let say = language.say
    state = .confirming
    headline = say("Being confirmed", "正在确认")
    if let failure = live.failure {
      notice = say("The bank declined: ", "银行拒绝：") + isolated(failure.message)
    }
    // What was not sent needs no bank to end.
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

  /// What is said to somebody who has no key to the order: how it stands, and nothing that can be done about it here.
  func forAnybody(_ language: Language) -> CheckoutPage {
    let say = language.say
    var page = self
    let goBack = say(
      "To pay, go back to the page on which you began, or to the shop.", "如需支付，请回到最初的支付页面，或返回商家。")
    switch state {
    case .ready:
      page.headline = say("Not paid", "尚未支付")
      page.text = [notice, goBack].compactMap { $0 }.joined(separator: language.space)
    case .failed: page.text = say("Nothing was paid by this try.", "此次付款未成功。") + language.space + goBack
    case .action:
      page.headline = say("Not confirmed yet", "尚未确认")
      page.text =
        say(
          "The bank still waits for you to confirm this payment. If you have, this page shows it when the bank has told us.",
          "银行仍在等待您确认这笔付款。如果您已确认，银行通知后会显示在本页面。")
    case .confirming where acting != nil:
      page.text = say(
        "The bank has not told us yet whether you paid. Do not pay again: nothing is lost, and you will see the answer here.",
        "银行尚未告知付款结果。请不要重复支付：款项不会丢失，结果会显示在这里。")
    case .confirming, .paid, .refunded, .closed: break
    }
    return page
  }

  /// What is said while the provider of the payment under way is turned off.
  private static func unaskable(_ language: Language) -> (headline: String, text: String) {
    let say = language.say
    return (
      say("Not confirmed yet", "尚未确认"),
      say(
        "The bank cannot be asked at the moment whether you paid. Do not pay again: nothing is lost, and you will see the answer here.",
        "暂时无法向银行查询付款结果。请不要重复支付：款项不会丢失，结果会显示在这里。")
    )
  }

  /// The ways to pay, and how the last try ended.
  private mutating func offer(_ methods: [BuyerMethod], after order: Order, _ language: Language) {
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
    // What became of it is said of the money itself.
    case .succeeded: notice = returned.isEmpty ? charged : nil
    case .processing, .requiresAction, .closed:
      notice = say("Your last try was ended.", "上次付款已结束。") + language.space + charged
    }
  }

  /// Why nothing can be chosen after many declined tries.
  private mutating func show(_ brake: DeclineBrake.Position, after order: Order, _ language: Language) {
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

  /// What an order that is not paid has cost the buyer so far.
  private static func charged(_ order: Order, _ language: Language) -> String {
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

  /// What went back to the buyer, or is about to, of money that the order does not keep.
  private static func returned(_ order: Order, _ language: Language) -> [String] {
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

  /// Whether money came in that the order does not keep.
  private static func hasSurplus(_ order: Order) -> Bool { order.payments.contains { $0.surplus != nil } }

  /// Whether a person has to see to it that the money goes back.
  private static func isStuck(_ refund: Refund, _ order: Order) -> Bool {
    order.cases.contains { $0.refund == refund.id && $0.resolvedAt == nil }
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

/// Text of others within a sentence of ours: whichever way it is written, it turns nothing around it.
func isolated(_ text: String) -> String { "\u{2068}\(text)\u{2069}" }

extension WebServices {
  func page(_ order: Order, _ request: Request) async throws -> Response {
    let language = Language(request)
    // The script knows itself what was pressed.
    let word: CheckoutWord? =
      if request.isScripted { request.queryText("elsewhere") == nil ? nil : .elsewhere } else { CheckoutWord(request) }
    let page = CheckoutPage(
      order, methods: methods(for: order), brake: brake(order), isAskable: isAskable(order),
      isElsewhere: word == .elsewhere, language: language)
    let say = language.say
    let shop = try await shop(of: order)
    let base = "/checkout/\(order.checkoutToken.text)"
    var (redirect, code, codeLink): (String?, String?, String?)
    switch page.acting?.nextAction {
    case .redirect(let url): redirect = url
    case .qrCode(let content):
      code = page.acting.map { "\(base)/payments/\($0.id.text)/code.svg" }
      // A buyer cannot scan the phone that shows the code.
      codeLink = content.hasPrefix("https://") || content.hasPrefix("http://") ? content : nil
    case .clientSecret, nil: break
    }
    let now = engine.clock.now()
    let isDemo = demo?.merchant == shop.id
    let amount = language.amount(order.registration.amount)
    // So that the demo's small screen shows the button, too.
    let shown = isDemo ? 4 : page.choices.count
    let html = PageTemplate.checkout.fill([
      "lang": language.tag, "otherLanguage": language.other.rawValue, "otherLanguageName": language.other.name,
      "title": "\(page.headline) · \(isolated(shop.shownName))",
      "shop": shop.shownName, "hasMark": shop.hasMark,
      "amount": amount, "isLong": amount.utf8.count > 14,
      "description": order.registration.description,
      "state": page.state.rawValue,
      "version": order.version, "tries": order.payments.count, "isAskable": isAskable(order),
      "headline": page.headline,
      "text": page.text,
      "notice": page.notice, "returned": page.returned, "isFinal": page.state.isFinal,
      "base": base,
      "key": "page-" + String(randomness.next128(), radix: 36),
      "choices": page.choices.prefix(shown).map {
        ["value": $0.value, "label": $0.label, "note": $0.note, "checked": $0.isFirst ? "checked" : ""]
      },
      "hasMore": page.choices.count > shown, "moreLabel": say("More ways to misbehave", "更多捣乱的方式"),
      "moreChoices": page.choices.dropFirst(shown).map { ["value": $0.value, "label": $0.label, "note": $0.note] },
      "canPay": !page.choices.isEmpty,
      "isWaiting": page.state.isWaiting, "isConfirming": page.state == .confirming,
      "isReloading": page.state.isWaiting || page.retryAt != nil,
      // What is said once is not taken away while it is read.
      "refresh": page.retryAt.map { max(1, $0.since(now).wholeMilliseconds / 1000 + 1) } ?? (word == nil ? 3 : 20),
      "retryAt": page.retryAt.map(\.rfc3339), "retry": page.retryAt.map { Self.deadline($0, now: now) },
      "retryLabel": say("You can try again from", "可再次尝试的时间："),
      // Few banks let themselves be framed; the sandbox's does.
      "bankTarget": isDemo ? "_self" : "_top",
      "redirect": redirect, "code": code, "codeLink": codeLink,
      "closable": page.closable?.text,
      "shopURL": page.state.isSafeToLeave ? order.registration.shopURL(isOver: page.state.isFinal) : nil,
      "expiresAt": order.expiresAt.rfc3339,
      "deadline": [.ready, .failed, .action].contains(page.state)
        ? Self.deadline(order.expiresAt, now: now) : nil,
      "isAsked": page.asked != nil,
      "nextCheck": page.asked.map { nextCheck($0, now: now, language) },
      "nextCheckLabel": say("We ask the bank again {when}.", "{when}再次向银行查询。"),
      "soonLabel": Self.soon(language), "checkingLabel": Self.checking(language),
      "leaveLabel": say(
        "You can close this page: nothing is lost, and the shop learns how it ended.", "您可以关闭此页面：款项不会丢失，商家会得知结果。"),
      "payLabel": say("Pay", "支付"),
      "payingLabel": say("One moment…", "请稍候…"),
      "continueLabel": say("Continue at the bank", "前往银行"),
      "closeLabel": say("Choose another way", "换一种方式"),
      "closeNote": say(
        "We end this payment at the bank first. If you have confirmed it there already, it counts, and nothing else is charged.",
        "我们会先在银行结束这笔付款。如果您已在银行确认，则以这笔付款为准，不会再收取其他款项。"),
      "backLabel": say("Back to the shop", "返回商家"),
      "methodsLabel": say("Payment method", "支付方式"),
      "deadlineLabel": say("Please pay before", "付款截止时间"),
      "timeLeft": say("{at} ({left} left)", "{at}（剩余 {left}）"),
      "overHeadline": say("Time is up", "订单已过期"),
      "overLabel": say("The time to pay this order is over.", "此订单的付款时间已过。"),
      "offlineLabel": say(
        "We cannot be reached at the moment. If you have pressed Pay, do not pay again: this page shows how it ended as soon as we are back in touch.",
        "暂时无法连接。如果您已点击支付，请不要重复支付，恢复连接后本页面会显示结果。"),
      "heldLabel": say(
        "Money that came for this order is being looked into. Do not pay again.", "此订单的款项正在核实，请不要重复支付。"),
      "isBraked": word == .braked,
      "brakedLabel": say(
        "Too many tries to pay were made from your connection. Please wait a few minutes, and try again.",
        "您的网络连接尝试支付的次数过多，请等待几分钟后重试。"),
      "isRefused": word == .refused && !page.choices.isEmpty,
      "isHeld": word == .held && [.ready, .failed].contains(page.state),
      "refusedLabel": say(
        "This way to pay is not available. Please choose another one.", "此支付方式暂不可用，请选择其他方式。"),
      "promise": say("An order keeps at most one payment.", "一笔订单最多只收取一次付款。"),
      "codeLabel": say("QR code of your payment", "付款二维码"),
      "codeLinkLabel": say("Or open it on this device", "或在本设备上打开"),
    ])
    // A policy cannot name an address of IPv6, and one that cannot be read counts for nothing.
    let origins = shop.origins.filter { !$0.contains("[") }
    var response = Response.page(
      html, formTargets: redirectOrigins, framedBy: origins + (isDemo ? ["'self'"] : []))
    if word != nil, !request.isScripted { CheckoutWord.forget(order.checkoutToken, in: &response) }
    if let acting = page.acting { remember(acting, order.checkoutToken, in: &response) }
    return response
  }

  private static func checking(_ language: Language) -> String {
    language.say("We are asking the bank right now.", "正在向银行查询。")
  }

  private static func soon(_ language: Language) -> String {
    language.say("We ask the bank again in a few seconds.", "几秒后再次向银行查询。")
  }

  /// When the bank is asked again: *right now* only while somebody asks, and nothing where nobody can say. Short waits are
  /// not counted down, since words that change all the time are not read.
  private func nextCheck(_ payment: Payment, now: Instant, _ language: Language) -> String {
    guard let next = payment.nextCheckAt(now, engine.rules.schedule) else { return Self.checking(language) }
    guard next > now else { return "" }
    let seconds = next.since(now).wholeMilliseconds / 1000 + 1
    guard seconds >= 10 else { return Self.soon(language) }
    return seconds < 90
      ? language.say("We ask the bank again in \(seconds) seconds.", "\(seconds)秒后再次向银行查询。")
      : language.say("We ask the bank again in \((seconds + 30) / 60) minutes.", "\((seconds + 30) / 60)分钟后再次向银行查询。")
  }

  /// Without scripts: the time of the deadline, with its date unless it is within the day.
  private static func deadline(_ instant: Instant, now: Instant) -> String {
    let text = instant.rfc3339
    let time = text.dropLast(8).suffix(5)
    return (instant.since(now) > .seconds(20 * 3600) ? "\(text.prefix(10)) " : "") + "\(time) UTC"
  }

  /// A page without a form and without an order: a shop's frame shows it, too, instead of the browser's own error.
  private static let anybody = ["*"]

  static func unavailable(_ request: Request, again path: String, status: HTTPResponse.Status) -> Response {
    let language = Language(request)
    let html = PageTemplate.missing.fill([
      "lang": language.tag,
      "headline": language.say("One moment, please", "请稍候"),
      "text": language.say(
        "We cannot look at your order right now. If you have pressed Pay, do not pay again: nothing is lost.",
        "暂时无法查看您的订单。如果您已点击支付，请不要重复支付，款项不会丢失。"),
      "again": path,
      "againLabel": language.say("Look again", "重新查看"),
    ])
    return .page(html, status: status, framedBy: Self.anybody)
  }

  static func noSuchCheckout(_ request: Request) -> Response {
    let language = Language(request)
    let html = PageTemplate.missing.fill([
      "lang": language.tag,
      "headline": language.say("There is no such order", "订单不存在"),
      "text": language.say(
        "The address is incomplete or out of date. Please go back to the shop.", "地址不完整或已失效，请返回商家。"),
    ])
    return .page(html, status: .notFound, framedBy: Self.anybody)
  }
}
