import Contract
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

/// The orders behind checkout tokens, and what can be done about one here and now.
struct BuyerOrders: Sendable {
  let engine: Engine
  let reading: any Reading
  let directory: any Directory

  // MARK: The order behind a token

  static func token(_ context: WebContext) throws(Refusal) -> CheckoutToken {
    guard let token = context.parameters.get("token").flatMap({ CheckoutToken(text: $0) }) else {
      throw Refusal(.notFound, "There is no such checkout.")
    }
    return token
  }

  func order(behind context: WebContext) async throws -> Order {
    try await order(behind: try Self.token(context)).orNotFound("checkout")
  }

  func order(behind token: CheckoutToken) async throws -> Order? {
    let order = try await reading.order(token.order)
    return order.flatMap { Caller.buyer(secret: token.secret).maySee($0) ? $0 : nil }
  }

  /// Lets a request through that is about what is there.
  func admit(_ request: Request, _ context: WebContext) async throws { _ = try await order(behind: context) }

  // MARK: What is known of it

  func shop(of order: Order) async throws -> Merchant {
    let id = order.registration.merchant
    return try await directory.merchant(id) ?? Merchant(id: id, name: "", origins: [])
  }

  /// The order after the query of its live payment was put on its way, if it could be.
  func asked(_ order: Order) async throws -> Order {
    let current = try await reading.order(order.id) ?? order
    guard let live = current.livePayment,
      case .payment(_, let asked, _)? = try? await engine.journal.perform(.check(live.id), by: .payOnce)
    else { return current }
    return asked
  }

  // MARK: What can be done about it

  /// What a buyer can do about an order at this moment, and what PayOnce does by itself.
  struct Standing: Sendable {
    let now: Instant
    /// The ways to pay that are offered: none while another try would be refused.
    let methods: [BuyerMethod]
    let brake: DeclineBrake.Position
    /// Whether the provider of the payment under way is one of this node's; true when none is.
    let isAskable: Bool
    /// When that provider is asked next; `nil` while it is being asked, and where it is not.
    let nextCheckAt: Instant?
  }

  func standing(of order: Order) -> Standing {
    let now = engine.clock.now()
    let brake = brake(order, now)
    let isAskable = isAskable(order)
    return Standing(
      now: now, methods: brake == .open ? methods(for: order) : [], brake: brake, isAskable: isAskable,
      nextCheckAt: isAskable ? order.livePayment?.nextCheckAt(now, engine.rules.schedule) : nil)
  }

  func brake(_ order: Order) -> DeclineBrake.Position { brake(order, engine.clock.now()) }

  func isAskable(_ order: Order) -> Bool {
    order.livePayment.map { engine.rules.account($0.provider) != nil } ?? true
  }

  private func brake(_ order: Order, _ now: Instant) -> DeclineBrake.Position {
    order.brake(now, engine.rules.schedule.declines)
  }

  private func methods(for order: Order) -> [BuyerMethod] {
    engine.rules.accounts(for: order.registration.merchant)
      .filter { $0.sheet.supports(order.registration.amount) }
      .flatMap { account in account.sheet.methods.map { BuyerMethod(provider: account.provider, method: $0) } }
  }
}
