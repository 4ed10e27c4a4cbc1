import Contract
import HTTPTypes
import Hummingbird
import Mustache
import PaymentCore
import PaymentEngine

/// A small shop that is PayOnce's own first customer, so that one can see two clicks and one charge.
extension WebServices {
  private struct Product {
    let id: String
    let name: (String, String)
    let price: Int64
  }

  private static let products = [
    Product(id: "tea", name: ("Jasmine tea, 100 g", "茉莉花茶 100 克"), price: 3800),
    Product(id: "cup", name: ("Porcelain cup", "瓷杯"), price: 5900),
    Product(id: "pot", name: ("Clay teapot", "紫砂壶"), price: 26_800),
  ]

  func addDemo(_ demo: DemoShop, to routes: inout Routes) {
    routes.on(.get, "/demo") { request, _ in
      let language = Language(request)
      let say = language.say
      let orders = try await reading.orders(of: demo.merchant, status: nil, after: nil, limit: 8)
      let html = PageTemplate.demo.fill([
        "lang": language == .chinese ? "zh-CN" : "en",
        "otherLanguage": language == .english ? "zh" : "en",
        "otherLanguageName": language == .english ? "中文" : "English",
        "headline": say("The demo shop", "演示商店"),
        "text": say(
          "Buy something, press Pay as often as you like, in as many tabs as you like. The bank charges once.",
          "下单后，可以在任意多个标签页反复点击支付，银行只会扣款一次。"),
        "buyLabel": say("Buy", "购买"),
        "products": Self.products.map {
          [
            "id": $0.id, "name": say($0.name.0, $0.name.1),
            "price": language.amount(Money($0.price, Currency(code: "CNY")!)),
          ]
        },
        "networkLabel": say("The network to the bank", "到银行的网络"),
        "networkText": say(
          "A bad network loses requests and answers, is slow, fails, and doubles, delays and loses notices.",
          "坏网络会丢失请求和应答、变慢、出错，并重复、延迟或丢失通知。"),
        "isBad": await demo.isNetworkBad(),
        "isGoodLabel": say("good", "良好"), "isBadLabel": say("bad", "糟糕"),
        "makeBadLabel": say("Make it bad", "模拟网络故障"), "makeGoodLabel": say("Make it good", "恢复网络"),
        "ordersLabel": say("The latest orders", "最近的订单"),
        "orders": orders.map { order in
          [
            "reference": order.registration.reference, "status": order.status.rawValue,
            "amount": language.amount(order.registration.amount), "url": "/checkout/\(order.checkoutToken.text)",
            "payments": "\(order.payments.count)", "duplicates": "\(order.duplicates.count)",
          ]
        },
        "statusLabel": say("Status", "状态"), "amountLabel": say("Amount", "金额"),
        "referenceLabel": say("Order", "订单"), "paymentsLabel": say("Tries", "尝试次数"),
        "duplicatesLabel": say("Prevented", "已阻止的重复付款"),
        "books": "\(demo.bankURL)/books",
        "booksLabel": say("What the bank really took", "银行的真实账目"),
      ])
      var response = Response.page(html)
      Language.keep(request, in: &response)
      return response
    }
    routes.on(.post, "/demo/orders") { request, _ in
      let form = try await Self.form(request)
      guard let product = Self.products.first(where: { $0.id == form.product }) else {
        throw Refusal(.invalidRequest, "There is no such product.")
      }
      let reference = "demo-" + String(randomness.next() >> 24, radix: 36)
      let registration = Order.Registration(
        merchant: demo.merchant, reference: reference, amount: Money(product.price, Currency(code: "CNY")!),
        description: Language(request).say(product.name.0, product.name.1), expiresIn: 900,
        returnURL: "\(publicURL)/demo")
      let (order, _) = try await register(registration)
      return Self.seeOther("/checkout/\(order.checkoutToken.text)")
    }
    routes.on(.post, "/demo/network") { request, _ in
      let form = try await Self.form(request)
      await demo.setNetworkBad(form.network == "bad")
      return Self.seeOther("/demo")
    }
  }

  private struct DemoForm: Decodable {
    var product: String?
    var network: String?
  }

  private static func form(_ request: Request) async throws -> DemoForm {
    // Another site's page has no business in the demo.
    guard ["same-origin", "none", nil].contains(request.headers[.init("Sec-Fetch-Site")!]) else {
      throw Refusal(.invalidRequest, "This form was sent by another site.")
    }
    let body = String(decoding: try await request.bytes(), as: UTF8.self)
    guard let form = try? URLEncodedFormDecoder().decode(DemoForm.self, from: body) else {
      throw Refusal(.invalidRequest, "The form cannot be read.")
    }
    return form
  }
}
