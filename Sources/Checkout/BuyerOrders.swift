import Contract
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

/// Looks up the orders of checkout tokens, and what a buyer can do about them here and now.
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

  /// Throws `not_found` when there is no order behind the token.
  func admit(_ request: Request, _ context: WebContext) async throws { _ = try await order(behind: context) }

  // MARK: The state of the order

  func shop(of order: Order) async throws -> Merchant {
    let id = order.registration.merchant
    return try await directory.merchant(id) ?? Merchant(id: id, name: "", origins: [])
  }

  /// The order, after a query of its live payment was requested. If there is no live payment, or the query cannot be
  /// requested, the order as it is now.
  /// - Throws: when the order cannot be read.
  func asked(_ order: Order) async throws -> Order {
    let current = try await reading.order(order.id) ?? order
    guard let live = current.livePayment,
      case .payment(_, let asked, _)? = try? await engine.journal.perform(.check(live.id), by: .payOnce)
    else { return current }
    return asked
  }

  // MARK: What a buyer can do

  /// What a buyer can do about an order at this moment, and what PayOnce does by itself.
  struct Standing: Sendable {
    let now: Instant
    /// The ways to pay; none while another try would be refused because of the brake on declines.
    let methods: [BuyerMethod]
    let brake: DeclineBrake.Position
    /// Whether this node has the provider of the live payment; true when no payment is live.
    let isAskable: Bool
    /// When that provider is asked next; `nil` while it is being asked, and when it will not be.
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
