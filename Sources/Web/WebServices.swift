package import Contract
package import Logging
import PaymentCore
package import PaymentEngine

/// What the routes work with.
package struct WebServices: Sendable {
  package let engine: Engine
  package let reading: any Reading
  package let directory: any Directory
  package let randomness: any Randomness
  package let rendering: Rendering
  /// Without a slash at its end.
  package let publicURL: String
  /// Where a buyer may be sent on to pay: origins such as `https://pay.example`.
  package let redirectOrigins: [String]
  /// The demo shop, unless it is off.
  package let demo: DemoShop?
  package let logger: Logger
  /// Counts the tries of buyers by where they come from.
  let addressBrake: AddressBrake

  package init(
    engine: Engine, reading: any Reading, directory: any Directory,
    randomness: any Randomness, publicURL: String, redirectOrigins: [String], demo: DemoShop?, logger: Logger
  ) {
    self.engine = engine
    self.reading = reading
    self.directory = directory
    self.randomness = randomness
    rendering = Rendering(publicURL: publicURL)
    self.publicURL = publicURL
    self.redirectOrigins = redirectOrigins
    self.demo = demo
    self.logger = logger
    addressBrake = AddressBrake(clock: engine.clock)
  }

  /// Whether another payment of the order may start now.
  func brake(_ order: Order) -> DeclineBrake.Position {
    order.brake(engine.clock.now(), engine.rules.schedule.declines)
  }

  /// The ways to pay an order that a buyer is offered: none while another try would be refused.
  func methods(for order: Order) -> [BuyerMethod] {
    guard brake(order) == .open else { return [] }
    return engine.rules.accounts(for: order.registration.merchant).filter {
      $0.sheet.supports(order.registration.amount)
    }
    .flatMap { account in account.sheet.methods.map { BuyerMethod(provider: account.provider, method: $0) } }
  }
}
