import Contract
import PaymentCore
import Site

/// The checkout page as plain values, computed from the order, what its buyer can do, and the language.
struct CheckoutPage {
  /// The kind of page. The HTML has it as a class of the section and as `data-state`, for the style, the scripts and
  /// the tests.
  enum State: String {
    case ready, failed, action, confirming, paid, refunded, closed

    /// Whether the buyer has nothing left to do or to wait for.
    var isFinal: Bool { self == .paid || self == .refunded || self == .closed }
    /// Whether the page will change without the buyer.
    var isWaiting: Bool { self == .confirming || self == .action }
    /// Whether a buyer who goes back to the shop now would not pay a second time there.
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
  /// The live payment, while the buyer has to do something for it.
  var acting: Payment?
  var choices: [Choice] = []
  var closable: PaymentID?
  /// The live payment, while its provider is asked about it.
  var asked: Payment?
  /// When there will be ways to pay again, if only time is needed.
  var retryAt: Instant?

  /// - Parameters:
  ///   - brake: whether another try may start.
  ///   - isAskable: whether the provider of the live payment, if there is one, can be asked here.
  ///   - isElsewhere: whether this page could pay when somebody else's try came first.
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

/// A text of others, isolated so that its direction changes nothing in the sentence around it.
func isolated(_ text: String) -> String { "\u{2068}\(text)\u{2069}" }
