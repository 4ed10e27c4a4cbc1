import Contract
import Hummingbird
import PaymentCore
import PaymentEngine
import Site

/// The routes on which a buyer starts and closes payments: as JSON for scripts, as forms for a page without scripts.
struct BuyerPaymentRoutes: Sendable {
  let reading: any Reading
  let orders: BuyerOrders
  let payments: PaymentRequests
  let brake: AddressBrake
  /// Whether the public address is https. Then cookies are sent over https only.
  let isSecure: Bool

  func add(to routes: Routes) {
    routes.on(.post, "/checkout/:token/payments", query: [], admit: orders.admit, form: payByForm) { request, context in
      let token = try BuyerOrders.token(context)
      let address = Peer.address(of: request, context.channel)
      let started = try await trying(token.order, try? request.idempotencyKey(), from: address) {
        try await payments.start(token.order, request, by: .buyer(secret: token.secret))
      }
      var response = payments.response(started)
      WayBack.remember(started.payment, token, isSecure: isSecure, in: &response)
      return response
    }
    let path = "/checkout/:token/payments/:id/close"
    routes.on(.post, path, query: [], admit: orders.admit, form: closeByForm) { request, context in
      let token = try BuyerOrders.token(context)
      return try await payments.close(Self.payment(context, of: token), request, by: .buyer(secret: token.secret))
    }
  }

  private static func payment(_ context: WebContext, of token: CheckoutToken) throws(Refusal) -> PaymentID {
    let id: PaymentID = try context.id()
    guard id.order == token.order else { throw Refusal(.notFound, "There is no such payment.") }
    return id
  }

  /// Makes a try to pay. A try that is declined counts against the address from which it came.
  private func trying(
    _ id: OrderID, _ key: IdempotencyKey?, from address: [UInt8]?,
    _ pay: () async throws -> PaymentRequests.Started
  ) async throws -> PaymentRequests.Started {
    let number: Int?
    do {
      number = try await brake.begin(address) { try await reading.order($0.order)?.payment($0)?.status }
    } catch let refusal as Refusal {
      // The brake only keeps new payments away. If this request cannot start one, it gets its usual answer: the payment
      // of its key, or the refusal because of the payment or the order.
      guard let order = try await reading.order(id),
        order.status != .open || order.livePayment != nil || order.payments.contains(where: { $0.key == key })
      else { throw refusal }
      return try await pay()
    }
    do {
      let started = try await pay()
      brake.end(address, number, started: started.isRepeat ? nil : started.payment.id)
      return started
    } catch {
      brake.end(address, number, started: nil)
      throw error
    }
  }

  // MARK: Without scripts

  /// How long a form waits for the outcome.
  private static let formWait: Duration = .seconds(8)

  private func payByForm(_ request: Request, _ context: WebContext) async throws -> Response {
    try await ErrorPage.guarding(request, context) { try await pay(request, context) }
  }

  /// Redirects in every case, and the page says what happened. So a reload or the back button repeats nothing.
  private func pay(_ request: Request, _ context: WebContext) async throws -> Response {
    let token = try BuyerOrders.token(context)
    let page = "/checkout/\(token.text)"
    let form: FormFields
    do { form = try await request.form() } catch is Refusal { return .seeOther(page) }
    guard let key = form["idempotency_key"].flatMap({ IdempotencyKey($0) }),
      let start = form["method"].flatMap({ StartPayment(choice: $0) })
    else { return .seeOther(page) }
    do {
      let started = try await trying(token.order, key, from: Peer.address(of: request, context.channel)) {
        try await payments.pay(
          token.order, key: key, start, by: .buyer(secret: token.secret), within: Self.formWait)
      }
      if case .redirect(let url) = started.payment.nextAction {
        var response = Response.seeOther(url)
        WayBack.remember(started.payment, token, isSecure: isSecure, in: &response)
        return response
      }
    } catch let refusal as Refusal where refusal.code != .notFound {
      context.note.code = refusal.code.rawValue
      // The page shows the payment that is in the way. The word adds that somebody else started it.
      let word: CheckoutWord? =
        switch (refusal.code, refusal.payment) {
        case (.paymentInProgress, nil): .held
        case (.paymentInProgress, _), (.orderPaid, _): .elsewhere
        // The page itself tells of the order's own brake. The word is for the address's.
        case (.tooManyPayments, _): try await orders.order(behind: token).map(orders.brake) == .open ? .braked : nil
        case (.orderClosed, _), (.idempotencyKeyReused, _): nil
        default: .refused
        }
      var response = Response.seeOther(page)
      word?.say(token, in: &response)
      return response
    }
    return .seeOther(page)
  }

  // The id and the token are not passed on to another function. The compiler (6.3.1, x86-64, without optimisation) puts
  // the third 128-bit number on the stack, and the asynchronous function then returns to a wrong address.
  private func closeByForm(_ request: Request, _ context: WebContext) async throws -> Response {
    let token = try BuyerOrders.token(context)
    let id = try Self.payment(context, of: token)
    return try await ErrorPage.guarding(request, context) {
      _ = try await orders.order(behind: context)
      // When the payment cannot be closed, the page shows it as it is.
      do {
        _ = try await payments.closed(id, by: .buyer(secret: token.secret), within: Self.formWait)
      } catch let refusal as Refusal {
        context.note.code = refusal.code.rawValue
      }
      return .seeOther("/checkout/\(token.text)")
    }
  }
}
