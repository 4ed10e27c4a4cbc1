import Hummingbird
import PaymentCore
import PaymentEngine
import Site

/// The routes to which providers send buyers back. The address names a payment, which the provider knows anyway. The
/// browser that left for the provider is led on to its checkout page. Everybody else is told how the order stands, and
/// nothing more.
struct ReturnRoutes: Sendable {
  let reading: any Reading
  let orders: BuyerOrders
  /// The merchant whose pages on this server may frame it; see `CheckoutRoutes`.
  let showcase: MerchantID?

  func add(to routes: Routes) {
    routes.on(.get, "/return/:id") { request, context in
      try await ErrorPage.guarding(request, context, again: "/return/\(context.parameters.get("id") ?? "")") {
        let number: PaymentNumber = try context.id()
        let order = try await reading.order(.number(number.order)).orNotFound("payment")
        _ = try order.payment(.number(number)).orNotFound("payment")
        if let token = WayBack.token(request), Caller.buyer(secret: token.secret).maySee(order) {
          return .seeOther("/checkout/\(order.checkoutToken.text)")
        }
        return try await page(try await orders.asked(order), number, request)
      }
    }
    // Some banks send buyers back with a form. From another site it brings no cookies, so the browser is led on to GET,
    // which does.
    routes.on(.post, "/return/:id") { request, context in
      try await ErrorPage.guarding(request, context) { .seeOther(WayBack.path(try context.id())) }
    }
  }

  private func page(_ order: Order, _ number: PaymentNumber, _ request: Request) async throws -> Response {
    let language = Language(request)
    let say = language.say
    let page = CheckoutPage(
      order, methods: [], brake: .open, isAskable: orders.isAskable(order), isElsewhere: false, language: language
    ).forAnybody(language)
    let shop = try await orders.shop(of: order)
    let html = SharedPages.missing.fill([
      "lang": language.tag, "title": "\(page.headline) · \(isolated(shop.shownName))",
      "shop": shop.shownName, "amount": language.amount(order.registration.amount),
      "state": page.state.rawValue, "headline": page.headline, "text": page.text,
      "returned": page.returned,
      "shopURL": page.state.isSafeToLeave ? order.registration.shopURL(isOver: page.state.isFinal) : nil,
      "backLabel": say("Back to the shop", "返回商家"),
      "again": page.state.isWaiting ? WayBack.path(number) : nil, "againLabel": say("Look again", "重新查看"),
    ])
    return .page(html, framedBy: showcase == shop.id ? ["'self'"] : [])
  }
}
