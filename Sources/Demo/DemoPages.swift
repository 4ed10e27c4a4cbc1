import HTTPTypes
import Hummingbird
import Mustache
import PaymentCore
import Site

struct DemoPages: Sendable {
  let publicURL: String
  /// The bank's address, at which a visitor can read its books.
  let bankURL: String

  private static let shop = MustacheTemplate(page: PackageResources.demo_shop_mustache)
  private static let order = MustacheTemplate(page: PackageResources.demo_order_mustache)
  private static let back = MustacheTemplate(page: PackageResources.demo_back_mustache)
  private static let own = MustacheTemplate(page: PackageResources.own_page_mustache)

  private static func page(
    _ template: MustacheTemplate, _ values: [String: Any?], _ request: Request, frames: [String] = [],
    framedBy: [String] = []
  ) -> Response {
    let language = Language(request)
    let common: [String: Any?] = [
      "lang": language.tag, "otherLanguage": language.other.rawValue, "otherLanguageName": language.other.name,
      "shop": language.say("Little Tea Shop", "小茶铺"),
      "isDemo": language.say("A demonstration: nothing is sold, no money moves.", "演示：不出售商品，不涉及真实资金。"),
    ]
    var response = Response.page(template.fill(common.merging(values) { $1 }), framedBy: framedBy, frames: frames)
    Language.keep(request, in: &response)
    return response
  }

  func shopPage(_ orders: [Order], _ request: Request) -> Response {
    let language = Language(request)
    let say = language.say
    return Self.page(
      Self.shop,
      [
        "text": say(
          "Order something and press Pay as often as you like, in as many tabs as you like, over the worst network you can make. The bank charges once.",
          "下单后，可以在任意多个标签页、在最糟糕的网络下反复点击支付，银行只会扣款一次。"),
        "orderLabel": say("Order", "下单"),
        "products": DemoProduct.all.map {
          [
            "id": $0.id, "name": say($0.name.english, $0.name.chinese), "note": say($0.note.english, $0.note.chinese),
            "price": language.amount($0.amount),
          ]
        },
        "hasOrders": !orders.isEmpty,
        "ordersLabel": say("The latest orders", "最近的订单"),
        "orders": orders.map { order in
          [
            "reference": order.registration.reference, "status": DemoWords.status(order, language),
            "amount": language.amount(order.registration.amount), "description": order.registration.description ?? "",
            "payments": "\(order.payments.count)", "duplicates": "\(order.duplicates.count)",
          ]
        },
        "statusLabel": say("Status", "状态"), "amountLabel": say("Amount", "金额"),
        "referenceLabel": say("Order", "订单"), "descriptionLabel": say("Item", "商品"),
        "paymentsLabel": say("Tries", "尝试次数"), "duplicatesLabel": say("Prevented", "已阻止的重复付款"),
        "books": "\(bankURL)/books", "booksLabel": say("All of the bank's books", "银行的全部账目"),
      ], request)
  }

  func orderPage(_ order: Order, _ request: Request) -> Response {
    let language = Language(request)
    let say = language.say
    let reference = order.registration.reference
    let networks = DemoShop.Network.allCases.map {
      ["value": $0.rawValue, "label": DemoWords.network($0, language)]
    }
    let checkout = "/checkout/\(order.checkoutToken.text)"
    // The way back from the checkout page carries the order's number. Then the screen shows the shop.
    let isBack = request.queryText("reference") != nil
    return Self.page(
      Self.order,
      [
        "title": "\(order.registration.description ?? reference) · \(say("Little Tea Shop", "小茶铺"))",
        "reference": reference, "publicURL": publicURL, "referenceLabel": say("Order", "订单"),
        "description": order.registration.description, "amount": language.amount(order.registration.amount),
        "checkout": checkout, "base": "/demo/orders/\(reference)", "product": DemoProduct.ordered(order),
        "screen": isBack ? "/demo/orders/\(reference)/back" : checkout,
        "frameLabel": say("The checkout page", "支付页面"),
        "addressLabel": say("The buyer's screen", "买家的屏幕"),
        "pressLabel": say("Be impatient", "心急一下"),
        "twiceLabel": say("Press Pay twice at once", "同时点击两次支付"),
        "devicesLabel": say("Pay on two devices at once", "两台设备同时支付"),
        "reloadLabel": say("Reload the page", "刷新页面"), "tabLabel": say("Open a second tab", "打开第二个标签页"),
        "deadlineLabel": say("Order it with 20 seconds to pay", "重新下单，限 20 秒内支付"),
        "ownLabel": say("See it on a shop's own page", "在商家自己的页面上查看"),
        "sourceLabel": say("its source, under 30 lines", "页面源码，不到 30 行"),
        "networkLabel": say("Break the network", "破坏网络"),
        "buyerNetworkLabel": say("Between the buyer and PayOnce", "买家与 PayOnce 之间"),
        "bankNetworkLabel": say("Between PayOnce and the bank, for all orders", "PayOnce 与银行之间（所有订单）"),
        "buyerNetworks": DemoWords.buyerNetworks(language), "bankNetworks": networks,
        "booksLabel": say("What the bank really took", "银行实际收取"),
        "timelineLabel": say("What happened", "发生了什么"),
        "notReadyLabel": say("The page offers nothing to press at the moment.", "页面目前没有可以点击的按钮。"),
        "deviceLabel": say("Device", "设备"),
        // The singular and the plural, with a bar between them.
        "pressWords": say("{n} press|{n} presses", "点击 {n} 次|点击 {n} 次"),
        "requestWords": say("{n} request|{n} requests", "请求 {n} 次|请求 {n} 次"),
        "sentWords": say(" (sent {n} times)", "（发送 {n} 次）"),
        "chargeWords": say("{n} charge|{n} charges", "扣款 {n} 次|扣款 {n} 次"), "comma": say(", ", "，"),
        "refusedLabel": say("refused", "被拒绝"),
        "byHandLabel": say("as somebody set it by hand", "手动设置"),
      ], request, frames: ["'self'", bankURL])
  }

  /// The page to which the shop has its buyers return. It says what the shop's own server knows.
  func backPage(_ order: Order, _ request: Request) -> Response {
    let language = Language(request)
    let say = language.say
    let reference = order.registration.reference
    let (headline, text, again) =
      switch order.status {
      case .paid:
        (
          say("Thank you!", "谢谢！"), say("Order \(reference) is paid.", "订单 \(reference) 已支付。"),
          say("The checkout page once more", "再看一次支付页面")
        )
      case .open:
        (
          say("It waits for you", "商品为您保留"), say("Order \(reference) is not paid yet.", "订单 \(reference) 尚未支付。"),
          say("Pay now", "现在支付")
        )
      case .closing:
        (
          say("One moment, please", "请稍候"),
          say("Order \(reference) is being closed. Do not pay again.", "订单 \(reference) 正在关闭，请不要重复支付。"),
          say("The checkout page once more", "再看一次支付页面")
        )
      case .closed:
        (
          say("Nothing was sold", "交易未完成"),
          say("Order \(reference) can no longer be paid.", "订单 \(reference) 不能再支付。"),
          say("The checkout page once more", "再看一次支付页面")
        )
      }
    return Self.page(
      Self.back,
      [
        "headline": headline, "text": text, "product": DemoProduct.ordered(order), "againLabel": again,
        "checkout": "/checkout/\(order.checkoutToken.text)", "moreLabel": say("Order something else", "继续购物"),
      ], request, framedBy: ["'self'"])
  }

  /// A shop's own page with `payonce.js`, the one of docs/guides/own-page.md.
  /// - Parameter gate: the address of PayOnce as the page sees it. Empty when this server serves the page: a visitor
  ///   may have come by another name than the public one.
  func ownPage(_ order: Order, gate: String) -> String {
    Self.own.fill([
      "gate": gate, "checkout": "\(gate)/checkout/\(order.checkoutToken.text)",
      "title": order.registration.description,
    ])
  }

  func busyPage(_ request: Request, _ wait: Duration) -> Response {
    let language = Language(request)
    let html = SharedPages.missing.fill([
      "lang": language.tag, "headline": language.say("The demo is busy", "演示暂时繁忙"),
      "text": language.say(
        "It has had more orders than a demonstration needs, and takes one every few seconds now. Nothing was ordered.",
        "演示订单过多，目前每隔几秒才接受一个新订单。您的订单没有生成。"),
      "again": "/demo", "againLabel": language.say("Back to the shop", "返回商店"),
    ])
    var response = Response.page(html, status: .tooManyRequests)
    response.headers[.retryAfter] = String(wait.components.seconds + 1)
    return response
  }
}
