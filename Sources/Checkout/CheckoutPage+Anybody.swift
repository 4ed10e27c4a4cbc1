import PaymentCore
import Site

extension CheckoutPage {
  /// The page for somebody who comes back from a provider without the checkout token: how the order stands, and nothing
  /// that can be done about it.
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
}
