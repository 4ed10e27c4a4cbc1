import Contract
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Mustache
import PaymentCore
import PaymentEngine

/// A small shop that is PayOnce's own first customer, so that one can see two clicks and one charge.
extension WebServices {
  private struct Product {
    let id: String
    let name: (english: String, chinese: String)
    let note: (english: String, chinese: String)
    let price: Int64
  }

  private static let products = [
    Product(
      id: "tea", name: ("Jasmine tea, 100 g", "茉莉花茶 100 克"), note: ("Picked in spring, scented seven times", "春采，七窨"),
      price: 3800),
    Product(
      id: "cup", name: ("Porcelain cup", "瓷杯"), note: ("Thin as paper, from Jingdezhen", "景德镇薄胎"), price: 5900),
    Product(
      id: "pot", name: ("Clay teapot", "紫砂壶"), note: ("For two, from Yixing clay", "宜兴紫砂，两人用"), price: 26_800),
  ]

  private static let currency = Currency(code: "CNY")!
  /// For a visitor who wants to see a deadline pass, in seconds.
  private static let shortLife: Int64 = 20

  func addDemo(_ demo: DemoShop, to routes: inout Routes) {
    let places = DemoOrders(clock: engine.clock)
    for asset in PageAsset.demo {
      routes.on(.get, asset.path) { request, _ in asset.response(request) }
    }
    routes.on(.get, "/") { _, _ in Self.seeOther("/demo") }
    routes.on(.get, "/demo") { request, _ in try await shopPage(demo, request) }
    routes.on(.post, "/demo/orders") { request, _ in
      let form = try await Self.form(request)
      guard let wanted = form["product"], let product = Self.products.first(where: { $0.id.isExactly(wanted) }) else {
        throw Refusal(.invalidRequest, "There is no such product.")
      }
      if let wait = places.take() { return Self.busy(request, wait) }
      let reference = "demo-" + String(randomness.next() >> 24, radix: 36)
      let back = "\(publicURL)/demo/orders/\(reference)"
      let registration = Order.Registration(
        merchant: demo.merchant, reference: reference, amount: Money(product.price, Self.currency),
        description: Language(request).say(product.name.english, product.name.chinese),
        expiresIn: form["deadline"]?.isExactly("short") == true ? Self.shortLife : 900, returnURL: back,
        cancelURL: back)
      _ = try await register(registration)
      return Self.seeOther("/demo/orders/\(reference)")
    }
    routes.on(.get, "/demo/orders/:reference") { request, context in
      try await orderPage(demo, try await order(demo, context), request)
    }
    routes.on(.get, "/demo/orders/:reference/back") { request, context in
      backPage(try await order(demo, context), request)
    }
    routes.on(.get, "/demo/orders/:reference/live") { request, context in
      try await live(demo, try await order(demo, context), request)
    }
    routes.on(.get, "/demo/orders/:reference/own") { _, context in
      let order = try await order(demo, context)
      let html = ownPage(order, gate: "")
      let script = html.split(separator: "<script type=\"module\">").last?.split(separator: "</script>").first
      return .page(html, framedBy: ["'self'"], script: script.map(String.init))
    }
    routes.on(.get, "/demo/orders/:reference/own/source") { _, context in
      let html = ownPage(try await order(demo, context), gate: publicURL)
      return Response(
        status: .ok,
        headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
        body: .init(byteBuffer: ByteBuffer(string: html)))
    }
    routes.on(.post, "/demo/network") { request, _ in
      let form = try await Self.form(request)
      guard let network = form["network"].flatMap({ DemoShop.Network(exactly: $0) }) else {
        let names = DemoShop.Network.allCases.map(\.rawValue).joined(separator: ", ")
        throw Refusal(.invalidRequest, "There is no such network. There are: \(names).")
      }
      await demo.setNetwork(network)
      return Response(status: .noContent)
    }
  }

  private static func busy(_ request: Request, _ wait: Duration) -> Response {
    let language = Language(request)
    let html = PageTemplate.missing.fill([
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

  private func order(_ demo: DemoShop, _ context: WebContext) async throws -> Order {
    let reference = context.parameters.get("reference") ?? ""
    return try await reading.order(merchant: demo.merchant, reference: reference).orNotFound("order")
  }

  private static func form(_ request: Request) async throws -> FormFields {
    // Another site's page has no business in the demo.
    guard ["same-origin", "none", nil].contains(request.headers[.init("Sec-Fetch-Site")!]) else {
      throw Refusal(.invalidRequest, "This form was sent by another site.")
    }
    return try await request.form()
  }

  // MARK: Pages

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

  private func shopPage(_ demo: DemoShop, _ request: Request) async throws -> Response {
    let language = Language(request)
    let say = language.say
    let orders = try await reading.orders(of: demo.merchant, status: nil, after: nil, limit: 8)
    return Self.page(
      PageTemplate.demoShop,
      [
        "text": say(
          "Order something and press Pay as often as you like, in as many tabs as you like, over the worst network you can make. The bank charges once.",
          "下单后，可以在任意多个标签页、在最糟糕的网络下反复点击支付，银行只会扣款一次。"),
        "orderLabel": say("Order", "下单"),
        "products": Self.products.map {
          [
            "id": $0.id, "name": say($0.name.english, $0.name.chinese), "note": say($0.note.english, $0.note.chinese),
            "price": language.amount(Money($0.price, Self.currency)),
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
        "books": "\(demo.bankURL)/books", "booksLabel": say("All of the bank's books", "银行的全部账目"),
      ], request)
  }

  private func orderPage(_ demo: DemoShop, _ order: Order, _ request: Request) async throws -> Response {
    let language = Language(request)
    let say = language.say
    let reference = order.registration.reference
    let networks = DemoShop.Network.allCases.map {
      ["value": $0.rawValue, "label": DemoWords.network($0, language)]
    }
    let checkout = "/checkout/\(order.checkoutToken.text)"
    // Who comes back from the checkout page brings the number along: then the screen shows the shop.
    let isBack = request.queryText("reference") != nil
    return Self.page(
      PageTemplate.demoOrder,
      [
        "title": "\(order.registration.description ?? reference) · \(say("Little Tea Shop", "小茶铺"))",
        "reference": reference, "publicURL": publicURL, "referenceLabel": say("Order", "订单"),
        "description": order.registration.description, "amount": language.amount(order.registration.amount),
        "checkout": checkout, "base": "/demo/orders/\(reference)", "product": Self.product(order),
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
        // For one and for more.
        "pressWords": say("{n} press|{n} presses", "点击 {n} 次|点击 {n} 次"),
        "requestWords": say("{n} request|{n} requests", "请求 {n} 次|请求 {n} 次"),
        "sentWords": say(" (sent {n} times)", "（发送 {n} 次）"),
        "chargeWords": say("{n} charge|{n} charges", "扣款 {n} 次|扣款 {n} 次"), "comma": say(", ", "，"),
        "refusedLabel": say("refused", "被拒绝"),
        "byHandLabel": say("as somebody set it by hand", "手动设置"),
      ], request, frames: ["'self'", demo.bankURL])
  }

  private static func product(_ order: Order) -> String {
    products.first { order.registration.amount.amount == $0.price }?.id ?? "tea"
  }

  /// Where the shop has its buyers come back to: it says what its own server knows.
  private func backPage(_ order: Order, _ request: Request) -> Response {
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
      PageTemplate.demoBack,
      [
        "headline": headline, "text": text, "product": Self.product(order), "againLabel": again,
        "checkout": "/checkout/\(order.checkoutToken.text)", "moreLabel": say("Order something else", "继续购物"),
      ], request, framedBy: ["'self'"])
  }

  /// A shop's own page with `payonce.js`, as docs/guides/own-page.md shows it.
  /// - Parameter gate: where PayOnce is, seen from the page; the demo's visitor may have come by another name.
  private func ownPage(_ order: Order, gate: String) -> String {
    PageTemplate.ownPage.fill([
      "gate": gate, "checkout": "\(gate)/checkout/\(order.checkoutToken.text)",
      "title": order.registration.description,
    ])
  }

  // MARK: What goes on

  private struct Live: Encodable {
    struct Moment: Encodable {
      let at: String
      let text: String
    }
    struct Entry: Encodable {
      let text: String
      let amount: String
    }
    let version: Int
    let status: String
    /// `nil` when the bank does not answer, and so are the next three.
    let network: String?
    let kept: String?
    let books: [Entry]?
    /// How often the bank took money.
    let charges: Int?
    let prevented: String
    let events: [Moment]
  }

  /// The order's timeline and the bank's books, in words.
  private func live(_ demo: DemoShop, _ order: Order, _ request: Request) async throws -> Response {
    let language = Language(request)
    async let network = demo.network()
    async let told = demo.books(order.payments.map(\.id))
    let events = try await reading.events(of: order.id, after: 0, limit: 200)
    let books = await told
    let live = Live(
      version: order.version, status: DemoWords.status(order, language), network: await network,
      kept: books.map { DemoWords.kept($0, Self.currency, language) },
      books: books.map { DemoWords.entries($0, language).map { .init(text: $0.text, amount: $0.amount) } },
      charges: books.map { $0.charges.count { $0.status == "succeeded" } },
      prevented: DemoWords.prevented(order.duplicates.count, language),
      events: events.map { .init(at: $0.at.rfc3339, text: DemoWords.event($0, language)) })
    return .json(Array(try JSONEncoder().encode(live)))
  }
}
