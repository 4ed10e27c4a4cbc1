import API
import Checkout
package import Demo
import Hummingbird
package import PaymentEngine
package import Site

/// All that the server answers. The rooms of HTTP do not know of one another; here they are put behind one router.
package enum Gate {
  /// - Parameters:
  ///   - publicURL: where buyers reach this server, without a slash at its end.
  ///   - redirectOrigins: where a buyer may be sent on to pay: origins such as `https://pay.example`.
  ///   - demo: the demo shop, unless it is off.
  package static func routes(
    engine: Engine, reading: any Reading, directory: any Directory, randomness: any Randomness, publicURL: String,
    redirectOrigins: [String], demo: DemoShop?
  ) -> Routes {
    let routes = Routes()
    let api = APIRoutes(
      engine: engine, reading: reading, directory: directory, randomness: randomness,
      publicURL: publicURL)
    let checkout = CheckoutRoutes(
      engine: engine, reading: reading, directory: directory, randomness: randomness, publicURL: publicURL,
      redirectOrigins: redirectOrigins, showcase: demo?.merchant)
    // The outermost first: an envelope around every answer; then who else may read it, also where it is a problem.
    routes.router.add(middleware: Envelope(randomness: randomness))
    routes.router.add(middleware: checkout.origins)
    routes.router.add(middleware: Problems(table: routes.table))
    api.add(to: routes)
    checkout.add(to: routes)
    SharedPages.add(to: routes)
    if let demo {
      let demo = DemoRoutes(
        shop: demo, engine: engine, reading: reading, randomness: randomness, publicURL: publicURL)
      // Its door is before what comes after it; so the demo is last.
      routes.router.add(middleware: demo.door)
      demo.add(to: routes)
    }
    return routes
  }
}
