import Contract
import Mustache
import PaymentCore
import PaymentEngine
import Site

/// The checkout page as HTML: the values of `CheckoutPage`, and the words around them.
struct CheckoutHTML {
  let order: Order
  let shop: Merchant
  let page: CheckoutPage
  let standing: BuyerOrders.Standing
  /// A word that is shown once, about what the buyer just pressed.
  let word: CheckoutWord?
  let language: Language
  /// Whether the shop's own pages are on this server. They may show the checkout small, in a frame.
  let isShowcase: Bool
  /// The idempotency key of the payment that the form starts.
  let key: String

  private static let template = MustacheTemplate(page: PackageResources.checkout_mustache)

  var text: String { Self.template.fill(values) }

  private var values: [String: Any?] {
    let say = language.say
    let base = "/checkout/\(order.checkoutToken.text)"
    var (redirect, code, codeLink): (String?, String?, String?)
    switch page.acting?.nextAction {
    case .redirect(let url): redirect = url
    case .qrCode(let content):
      code = page.acting.map { "\(base)/payments/\($0.id.text)/code.svg" }
      // A buyer on a phone cannot scan the code that this phone shows.
      codeLink = content.hasPrefix("https://") || content.hasPrefix("http://") ? content : nil
    case .clientSecret, nil: break
    }
    let amount = language.amount(order.registration.amount)
    // The frame is small. With four choices it shows the button, too.
    let shown = isShowcase ? 4 : page.choices.count
    return [
      "lang": language.tag, "otherLanguage": language.other.rawValue, "otherLanguageName": language.other.name,
      "title": "\(page.headline) · \(isolated(shop.shownName))",
      "shop": shop.shownName, "hasMark": shop.hasMark,
      "amount": amount, "isLong": amount.utf8.count > 14,
      "description": order.registration.description,
      "state": page.state.rawValue,
      "version": order.version, "tries": order.payments.count, "isAskable": standing.isAskable,
      "headline": page.headline,
      "text": page.text,
      "notice": page.notice, "returned": page.returned, "isFinal": page.state.isFinal,
      "base": base,
      "key": key,
      "choices": page.choices.prefix(shown).map {
        ["value": $0.value, "label": $0.label, "note": $0.note, "checked": $0.isFirst ? "checked" : ""]
      },
      "hasMore": page.choices.count > shown, "moreLabel": say("More ways to misbehave", "更多捣乱的方式"),
      "moreChoices": page.choices.dropFirst(shown).map { ["value": $0.value, "label": $0.label, "note": $0.note] },
      "canPay": !page.choices.isEmpty,
      "isWaiting": page.state.isWaiting, "isConfirming": page.state == .confirming,
      "isReloading": page.state.isWaiting || page.retryAt != nil,
      // A word is shown once, so the page leaves time to read it.
      "refresh": page.retryAt.map { max(1, $0.since(standing.now).wholeMilliseconds / 1000 + 1) }
        ?? (word == nil ? 3 : 20),
      "retryAt": page.retryAt.map(\.rfc3339), "retry": page.retryAt.map { time($0) },
      "retryLabel": say("You can try again from", "可再次尝试的时间："),
      // Few banks allow frames. The sandbox's does.
      "bankTarget": isShowcase ? "_self" : "_top",
      "redirect": redirect, "code": code, "codeLink": codeLink,
      "closable": page.closable?.text,
      "shopURL": page.state.isSafeToLeave ? order.registration.shopURL(isOver: page.state.isFinal) : nil,
      "expiresAt": order.expiresAt.rfc3339,
      "deadline": [.ready, .failed, .action].contains(page.state)
        ? time(order.expiresAt) : nil,
      "isAsked": page.asked != nil,
      "nextCheck": page.asked == nil ? nil : nextCheck,
      "nextCheckLabel": say("We ask the bank again {when}.", "{when}再次向银行查询。"),
      "soonLabel": soon, "checkingLabel": checking,
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
    ]
  }

  // MARK: Times

  private var checking: String { language.say("We are asking the bank right now.", "正在向银行查询。") }

  private var soon: String { language.say("We ask the bank again in a few seconds.", "几秒后再次向银行查询。") }

  /// When the bank is asked again: *right now* only while a query is under way, and nothing when nobody can say. Waits
  /// of less than ten seconds are not counted down, since words that change all the time are not read.
  private var nextCheck: String {
    guard let next = standing.nextCheckAt else { return checking }
    guard next > standing.now else { return "" }
    let seconds = next.since(standing.now).wholeMilliseconds / 1000 + 1
    guard seconds >= 10 else { return soon }
    return seconds < 90
      ? language.say("We ask the bank again in \(seconds) seconds.", "\(seconds)秒后再次向银行查询。")
      : language.say("We ask the bank again in \((seconds + 30) / 60) minutes.", "\((seconds + 30) / 60)分钟后再次向银行查询。")
  }

  /// A time in UTC, for pages without scripts. It has its date when it is more than 20 hours away.
  private func time(_ instant: Instant) -> String {
    let text = instant.rfc3339
    let time = text.dropLast(8).suffix(5)
    return (instant.since(standing.now) > .seconds(20 * 3600) ? "\(text.prefix(10)) " : "") + "\(time) UTC"
  }
}
