import Contract
package import PaymentCore
package import PaymentEngine
package import Site

/// The buyer's side: a page that works without scripts, and the calls of that page or of a shop's own.
package struct CheckoutRoutes {
  private let engine: Engine
  private let reading: any Reading
  private let directory: any Directory
  private let randomness: any Randomness
  private let publicURL: String
  private let redirectOrigins: [String]
  private let showcase: MerchantID?

  /// - Parameters:
  ///   - publicURL: where buyers reach this server, without a slash at its end.
  ///   - redirectOrigins: where a buyer may be sent to pay: origins such as `https://pay.example`.
  ///   - showcase: the merchant whose own pages are on this server. They may frame the checkout, which then offers only
  ///     a few ways to pay at first, since the frame is small.
  package init(
    engine: Engine, reading: any Reading, directory: any Directory, randomness: any Randomness, publicURL: String,
    redirectOrigins: [String], showcase: MerchantID?
  ) {
    self.engine = engine
    self.reading = reading
    self.directory = directory
    self.randomness = randomness
    self.publicURL = publicURL
    self.redirectOrigins = redirectOrigins
    self.showcase = showcase
  }

  private var orders: BuyerOrders { BuyerOrders(engine: engine, reading: reading, directory: directory) }

  /// The middleware for CORS. It must be added before `Problems`, so that a shop's pages can read refusals, too.
  package var origins: CheckoutOrigins { CheckoutOrigins(orders: orders, directory: directory, own: publicURL) }

  package func add(to routes: Routes) {
    let rendering = Rendering(publicURL: publicURL)
    let isSecure = publicURL.hasPrefix("https://")
    PageRoutes(
      orders: orders, directory: directory, randomness: randomness, redirectOrigins: redirectOrigins,
      showcase: showcase, isSecure: isSecure
    ).add(to: routes)
    StatusRoutes(engine: engine, reading: reading, orders: orders, rendering: rendering).add(to: routes)
    BuyerPaymentRoutes(
      reading: reading, orders: orders,
      payments: PaymentRequests(engine: engine, reading: reading, rendering: rendering),
      brake: AddressBrake(clock: engine.clock), isSecure: isSecure
    ).add(to: routes)
    ReturnRoutes(reading: reading, orders: orders, showcase: showcase).add(to: routes)
  }
}
