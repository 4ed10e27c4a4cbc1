import HTTPTypes
import Hummingbird
import NIOCore
import PaymentCore
import PaymentEngine
import Site

/// The routes of the checkout page and of what it loads.
struct PageRoutes: Sendable {
  let orders: BuyerOrders
  let directory: any Directory
  let randomness: any Randomness
  let redirectOrigins: [String]
  /// The merchant whose pages on this server may frame the checkout; see `CheckoutRoutes`.
  let showcase: MerchantID?
  let isSecure: Bool

  func add(to routes: Routes) {
    routes.on(.get, "/checkout/:token") { request, context in
      var response = try await ErrorPage.guarding(request, context) {
        try await page(try await orders.asked(try await orders.order(behind: context)), request)
      }
      // A script repeats its page's language, which is no new choice: another tab may have made one meanwhile.
      if !request.isScripted { Language.keep(request, in: &response) }
      return response
    }
    // Some banks send buyers back with a form. Nothing is read from it.
    routes.on(.post, "/checkout/:token") { request, context in
      try await ErrorPage.guarding(request, context) {
        .seeOther("/checkout/\(try BuyerOrders.token(context).text)")
      }
    }
    routes.on(.get, "/checkout/:token/mark") { request, context in
      let order = try await orders.order(behind: context)
      let mark = try await directory.mark(of: order.registration.merchant).orNotFound("mark")
      return PageAsset(request.uri.path, "image/\(mark.form)", mark.bytes).response(request)
    }
    routes.on(.get, "/checkout/:token/payments/:id/code.svg") { _, context in
      let order = try await orders.order(behind: context)
      guard let payment = order.payment(try context.id()), case .qrCode(let content) = payment.nextAction,
        let code = QRCode(content)
      else { throw Refusal(.notFound, "There is no code to scan, or no longer.") }
      return Response(
        status: .ok,
        headers: [
          .contentType: "image/svg+xml", .cacheControl: "no-store",
          .init("Cross-Origin-Resource-Policy")!: "cross-origin",
        ],
        body: .init(byteBuffer: ByteBuffer(string: code.svg)))
    }
    let script = "text/javascript; charset=utf-8"
    routes.add(PageAsset("/payonce.js", script, PackageResources.payonce_js, isPublic: true))
    routes.add(PageAsset("/checkout.js", script, PackageResources.checkout_js))
    routes.add(PageAsset("/checkout-reload.js", script, PackageResources.checkout_reload_js))
  }

  private func page(_ order: Order, _ request: Request) async throws -> Response {
    let language = Language(request)
    // The script remembers itself what was pressed, and tells it in the query.
    let word: CheckoutWord? =
      if request.isScripted { request.queryText("elsewhere") == nil ? nil : .elsewhere } else { CheckoutWord(request) }
    let shop = try await orders.shop(of: order)
    let isShowcase = showcase == shop.id
    let standing = orders.standing(of: order)
    let page = CheckoutPage(
      order, methods: standing.methods, brake: standing.brake, isAskable: standing.isAskable,
      isElsewhere: word == .elsewhere, language: language)
    let html = CheckoutHTML(
      order: order, shop: shop, page: page, standing: standing, word: word, language: language,
      isShowcase: isShowcase, key: "page-" + String(randomness.next128(), radix: 36))
    // A policy (CSP) cannot name an IPv6 address. Browsers ignore a source that they cannot parse.
    let origins = shop.origins.filter { !$0.contains("[") }
    var response = Response.page(
      html.text, formTargets: redirectOrigins, framedBy: origins + (isShowcase ? ["'self'"] : []))
    if word != nil, !request.isScripted { CheckoutWord.forget(order.checkoutToken, in: &response) }
    if let acting = page.acting {
      WayBack.remember(order.view(acting), order.checkoutToken, isSecure: isSecure, in: &response)
    }
    return response
  }
}

extension Request {
  /// Whether checkout.js sent the request, and not somebody who opens the page.
  fileprivate var isScripted: Bool { headers[.init("X-Requested-With")!] != nil }
}
