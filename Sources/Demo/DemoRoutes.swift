import Contract
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore
import PaymentCore
package import PaymentEngine
package import Site

/// The demo: a small shop that pays with PayOnce, so that visitors see two clicks make one charge.
package struct DemoRoutes: Sendable {
  private let shop: DemoShop
  private let engine: Engine
  private let reading: any Reading
  private let randomness: any Randomness
  private let publicURL: String

  package init(
    shop: DemoShop, engine: Engine, reading: any Reading, randomness: any Randomness, publicURL: String
  ) {
    self.shop = shop
    self.engine = engine
    self.reading = reading
    self.randomness = randomness
    self.publicURL = publicURL
  }

  /// The middleware that must be added before these routes.
  package var door: DemoDoor { DemoDoor(publicURL: publicURL) }

  /// The life in seconds of an order whose deadline a visitor wants to see pass.
  private static let shortLife: Int64 = 20

  package func add(to routes: Routes) {
    let places = DemoOrders(clock: engine.clock)
    let pages = DemoPages(publicURL: publicURL, bankURL: shop.bankURL)
    let picture = "image/svg+xml"
    routes.add(PageAsset("/demo/demo.css", "text/css; charset=utf-8", PackageResources.demo_css))
    routes.add(PageAsset("/demo/demo.js", "text/javascript; charset=utf-8", PackageResources.demo_js))
    routes.add(PageAsset("/demo/tea.svg", picture, PackageResources.tea_svg))
    routes.add(PageAsset("/demo/cup.svg", picture, PackageResources.cup_svg))
    routes.add(PageAsset("/demo/pot.svg", picture, PackageResources.pot_svg))
    routes.on(.get, "/") { _, _ in .seeOther("/demo") }
    routes.on(.get, "/demo") { request, _ in
      pages.shopPage(try await reading.orders(of: shop.merchant, status: nil, after: nil, limit: 8), request)
    }
    routes.on(.post, "/demo/orders") { request, _ in
      let form = try await Self.form(request)
      guard let wanted = form["product"], let product = DemoProduct.all.first(where: { $0.id.isExactly(wanted) }) else {
        throw Refusal(.invalidRequest, "There is no such product.")
      }
      if let wait = places.take() { return pages.busyPage(request, wait) }
      let reference = "demo-" + String(randomness.next() >> 24, radix: 36)
      let back = "\(publicURL)/demo/orders/\(reference)"
      let registration = Order.Registration(
        merchant: shop.merchant, reference: reference, amount: product.amount,
        description: Language(request).say(product.name.english, product.name.chinese),
        expiresIn: form["deadline"]?.isExactly("short") == true ? Self.shortLife : 900, returnURL: back,
        cancelURL: back)
      _ = try await engine.journal.register(registration, randomness)
      return .seeOther("/demo/orders/\(reference)")
    }
    routes.on(.get, "/demo/orders/:reference") { request, context in
      pages.orderPage(try await order(context), request)
    }
    routes.on(.get, "/demo/orders/:reference/back") { request, context in
      pages.backPage(try await order(context), request)
    }
    routes.on(.get, "/demo/orders/:reference/live") { request, context in
      let order = try await order(context)
      let events = try await reading.events(of: order.id, after: 0, limit: 200)
      return .json(Array(try JSONEncoder().encode(await DemoLive(order, events, of: shop, Language(request)))))
    }
    routes.on(.get, "/demo/orders/:reference/own") { _, context in
      let order = try await order(context)
      let html = pages.ownPage(order, gate: "")
      let script = html.split(separator: "<script type=\"module\">").last?.split(separator: "</script>").first
      return .page(html, framedBy: ["'self'"], script: script.map(String.init))
    }
    routes.on(.get, "/demo/orders/:reference/own/source") { _, context in
      let html = pages.ownPage(try await order(context), gate: publicURL)
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
      await shop.setNetwork(network)
      return Response(status: .noContent)
    }
  }

  private func order(_ context: WebContext) async throws -> Order {
    let reference = context.parameters.get("reference") ?? ""
    let number = engine.rules.numbering.order(shop.merchant, reference)
    return try await reading.order(.number(number)).orNotFound("order")
  }

  private static func form(_ request: Request) async throws -> FormFields {
    // Pages of other sites must not send the demo's forms.
    guard ["same-origin", "none", nil].contains(request.headers[.init("Sec-Fetch-Site")!]) else {
      throw Refusal(.invalidRequest, "This form was sent by another site.")
    }
    return try await request.form()
  }
}
