import API
import Checkout
package import Demo
import Hummingbird
package import PaymentEngine
package import Site

/// All routes of the server. API, Checkout and Demo do not know of one another; here they share one router.
package enum Gate {
  /// - Parameters:
  ///   - publicURL: where buyers reach this server, without a slash at its end.
  ///   - redirectOrigins: where a buyer may be sent to pay: origins such as `https://pay.example`.
  ///   - demo: the demo shop; `nil` when it is off.
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
    // The outermost comes first: the envelope, then CORS, which covers problems, too, then the problems.
    routes.router.add(middleware: Envelope(randomness: randomness))
    routes.router.add(middleware: checkout.origins)
    routes.router.add(middleware: Problems(table: routes.table))
    api.add(to: routes)
    checkout.add(to: routes)
    SharedPages.add(to: routes)
    if let demo {
      let demo = DemoRoutes(
        shop: demo, engine: engine, reading: reading, randomness: randomness, publicURL: publicURL)
      // The door guards the routes that are added after it; so the demo comes last.
      routes.router.add(middleware: demo.door)
      demo.add(to: routes)
    }
    return routes
  }
}
