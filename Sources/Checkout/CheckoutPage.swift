import Contract
import PaymentCore
import Site

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

  var state: State
  var headline: String
  var text: String
  /// What happened before, such as a declined try.
  var notice: String?
  var returned: [String]
  /// The payment that is under way, while the buyer has to do something for it.
  var acting: Payment?
  var choices: [Choice] = []
  var closable: PaymentID?
  /// The payment that the bank is being asked about.
  var asked: Payment?
  /// When there is something to choose from again, where only time is needed.
  var retryAt: Instant?

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
}

/// Text of others within a sentence of ours: whichever way it is written, it turns nothing around it.
func isolated(_ text: String) -> String { "\u{2068}\(text)\u{2069}" }
