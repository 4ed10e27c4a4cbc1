import PaymentCore
import Site

/// The words of the demo for orders, events and the bank's books.
enum DemoWords {
  static func status(_ order: Order, _ language: Language) -> String {
    switch order.status {
    case .open: language.say("open", "待支付")
    case .closing: language.say("closing", "正在关闭")
    case .paid: language.say("paid", "已支付")
    case .closed: language.say("closed", "已关闭")
    }
  }

  static func network(_ network: DemoShop.Network, _ language: Language) -> String {
    switch network {
    case .good: language.say("good", "良好")
    case .slow: language.say("slow", "缓慢")
    case .losesRequests: language.say("loses requests", "丢失请求")
    case .losesAnswers: language.say("loses answers", "丢失应答")
    case .gone: language.say("gone", "中断")
    case .everything: language.say("everything at once", "所有故障")
    }
  }

  /// The networks that demo.js can make on the buyer's side.
  static func buyerNetworks(_ language: Language) -> [[String: String]] {
    [
      ["value": "good", "label": language.say("good", "良好")],
      ["value": "slow", "label": language.say("slow", "缓慢")],
      ["value": "loses-requests", "label": language.say("loses what the buyer sends", "丢失买家的请求")],
      ["value": "loses-answers", "label": language.say("loses the answers to it", "丢失返回的应答")],
      ["value": "offline", "label": language.say("offline", "离线")],
    ]
  }

  /// The money that the bank keeps, in one line.
  static func kept(_ books: DemoShop.Books, _ currency: Currency, _ language: Language) -> String {
    let taken = books.charges.filter { $0.status == "succeeded" }
    let kept = taken.reduce(0) { $0 + $1.amount } - books.refunds.reduce(0) { $0 + $1.amount }
    let amount = language.amount(Money(kept, currency))
    let returned = Set(books.refunds.map(\.charge))
    switch taken.count {
    case 0: return language.say("Nothing", "无")
    case 1 where returned.isEmpty: return language.say("One charge: \(amount)", "一笔扣款：\(amount)")
    case 1: return language.say("One charge, returned: \(amount) kept", "一笔扣款，已退回：保留 \(amount)")
    case let count:
      return language.say(
        "\(count) charges, \(returned.count) returned: \(amount) kept",
        "\(count) 笔扣款，\(returned.count) 笔已退回：保留 \(amount)")
    }
  }

  static func entries(_ books: DemoShop.Books, _ language: Language) -> [(text: String, amount: String)] {
    func amount(_ units: Int64, _ code: String) -> String {
      Currency(code: code).map { language.amount(Money(units, $0)) } ?? ""
    }
    let charges = books.charges.enumerated().map { index, charge in
      let status =
        switch charge.status {
        case "succeeded": language.say("taken", "已扣款")
        case "declined": language.say("declined", "已拒绝")
        case "closed": language.say("closed, nothing taken", "已关闭，未扣款")
        default: language.say("waiting", "等待中")
        }
      let name = language.say("Charge \(index + 1)", "扣款 \(index + 1)")
      return (
        text: "\(name) · \(status)", amount: charge.status == "succeeded" ? amount(charge.amount, charge.currency) : ""
      )
    }
    let refunds = books.refunds.map { refund in
      let code = books.charges.first { $0.id == refund.charge }?.currency ?? ""
      return (text: language.say("Returned to the buyer", "已退回买家"), amount: "−" + amount(refund.amount, code))
    }
    return charges + refunds
  }

  static func prevented(_ count: Int, _ language: Language) -> String {
    language.say("Further payments that PayOnce refused: \(count)", "PayOnce 拒绝的重复付款：\(count)")
  }

  static func event(_ event: Event, _ language: Language) -> String {
    let say = language.say
    let number =
      if case .text(let id) = event.data["payment"], let payment = PaymentID(text: id) {
        " \(payment.ordinal)" + language.say("", " ")
      } else { "" }
    switch event.type {
    case .orderCreated: return say("The shop registers the order", "商家登记订单")
    case .orderPaid: return say("The order is paid", "订单已支付")
    case .orderClosing: return say("The order is being closed", "订单正在关闭")
    case .orderReopened: return say("The order is open again", "订单重新开放")
    case .paymentThrottled: return say("Too many declined tries: the next one has to wait", "被拒绝次数过多，需稍后再试")
    case .orderClosed: return say("The order is closed", "订单已关闭")
    case .paymentStarted: return say("Payment\(number) is stored, then sent to the bank", "付款\(number)先保存，再发往银行")
    case .paymentRequiresAction: return say("The bank waits for the buyer", "银行等待买家确认")
    case .paymentUnknown:
      return say("No answer: nobody knows, so PayOnce keeps asking", "没有应答：结果未知，PayOnce 持续查询")
    case .paymentSucceeded: return say("The bank took the money", "银行已扣款")
    case .paymentFailed: return say("The bank declined", "银行拒绝付款")
    case .paymentClosed: return say("The bank confirms: it is closed", "银行确认：付款已关闭")
    case .paymentSurplus: return say("Money beyond the one payment: it goes back", "多余的款项：将退回")
    case .refundStarted: return say("A refund is stored, then sent", "退款先保存，再发出")
    case .refundSucceeded: return say("The money is back", "款项已退回")
    case .refundFailed: return say("The refund failed", "退款失败")
    case .caseOpened: return say("A person has to look at it", "需要人工处理")
    case .caseResolved: return say("A person dealt with it", "人工已处理")
    case .duplicatePrevented: return say("A second payment was prevented", "阻止了一次重复付款")
    }
  }
}
