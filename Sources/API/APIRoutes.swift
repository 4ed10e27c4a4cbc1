import Contract
package import PaymentEngine
package import Site

/// The routes for programs: shops, providers, and whoever monitors the server.
package struct APIRoutes {
  private let engine: Engine
  private let reading: any Reading
  private let directory: any Directory
  private let randomness: any Randomness
  private let rendering: Rendering

  package init(
    engine: Engine, reading: any Reading, directory: any Directory, randomness: any Randomness, publicURL: String
  ) {
    self.engine = engine
    self.reading = reading
    self.directory = directory
    self.randomness = randomness
    rendering = Rendering(publicURL: publicURL)
  }

  package func add(to routes: Routes) {
    let keys = KeyRing(directory: directory, clock: engine.clock)
    let shops = ShopRoutes(routes: routes, keys: keys, reading: reading)
    OrderRoutes(engine: engine, reading: reading, randomness: randomness, rendering: rendering).add(to: shops)
    PaymentRoutes(
      reading: reading, rendering: rendering,
      payments: PaymentRequests(engine: engine, reading: reading, rendering: rendering)
    ).add(to: shops)
    RefundRoutes(engine: engine, reading: reading, rendering: rendering).add(to: shops)
    EventRoutes(reading: reading, rendering: rendering).add(to: shops)
    OperatorRoutes(engine: engine, reading: reading, directory: directory, rendering: rendering, keys: keys)
      .add(to: routes)
    NoticeRoutes(engine: engine).add(to: routes)
    HealthRoutes(engine: engine, directory: directory).add(to: routes)
  }
}
