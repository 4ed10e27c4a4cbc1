import Contract
import HTTPTypes
import Hummingbird
import NIOCore
import PaymentCore
import PaymentEngine

/// The buyer's side: a page that works without scripts, and the calls that it, or a shop's own page, makes.
extension WebServices {
  func addCheckout(to routes: inout Routes) {
    routes.on(.get, "/checkout/:token") { request, context in
      var response = try await forBuyer(request, context) {
        try await page(asked(try await order(behind: context)), request)
      }
      // What a script asks for is no choice: another tab may have made one meanwhile.
      if !request.isScripted { Language.keep(request, in: &response) }
      return response
    }
    // Some banks come back by a form. Nothing is read from it.
    routes.on(.post, "/checkout/:token") { request, context in
      try await forBuyer(request, context) { Self.seeOther("/checkout/\(try Self.token(context).text)") }
    }
    routes.on(.get, "/checkout/:token/status", query: ["wait", "version"]) { request, context in
      let order = try await order(behind: context)
      let seconds = try request.queryInteger("wait", in: 0...60)
      let version = try request.queryInteger("version", in: 0...Int64.max)
      // To look asks nobody: pages look all the time.
      guard let seconds else { return .json(try await view(order)) }
      guard seconds > 0 else { return .json(try await view(try await asked(order))) }
      return .json(
        try await view(
          try await changed(order, beyond: version.map { Int($0) }, within: .seconds(seconds), request, context)))
    }
    routes.on(.get, "/checkout/:token/stream", query: []) { request, context in
      let order = try await order(behind: context)
      try engine.changes.checkPlaceForPage()
      return try await stream(order, as: .page(from: Peer.address(of: request, context.channel)))
    }
    routes.on(.post, "/checkout/:token/payments", query: []) { request, context in
      if request.isForm { return try await forBuyer(request, context) { try await payByForm(request, context) } }
      let token = try Self.token(context)
      let address = Peer.address(of: request, context.channel)
      let started = try await trying(token.order, try? request.idempotencyKey(), from: address) {
        try await start(token.order, request, by: .buyer(secret: token.secret))
      }
      var response = response(started)
      remember(started.payment.payment, token, in: &response)
      return response
    }
    routes.on(.get, "/checkout/:token/mark") { request, context in
      let order = try await order(behind: context)
      let mark = try await directory.mark(of: order.registration.merchant).orNotFound("mark")
      return PageAsset(request.uri.path, "image/\(mark.form)", mark.bytes).response(request)
    }
    routes.on(.get, "/checkout/:token/payments/:id/code.svg") { _, context in
      let order = try await order(behind: context)
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
    routes.on(.post, "/checkout/:token/payments/:id/close", query: []) { request, context in
      let token = try Self.token(context)
      let id: PaymentID = try context.id()
      guard id.order == token.order else { throw Refusal(.notFound, "There is no such payment.") }
      let buyer = Caller.buyer(secret: token.secret)
      if request.isForm {
        return try await forBuyer(request, context) {
          _ = try await order(behind: context)
          // What cannot be closed, the page shows as it is.
          do { _ = try await closed(id, by: buyer, within: Self.formWait) } catch let refusal as Refusal {
            context.refusal.code = refusal.code.rawValue
          }
          return Self.seeOther("/checkout/\(token.text)")
        }
      }
      let wait = try await waitAlone(id, request, by: buyer)
      return response(closing: try await closed(id, by: buyer, within: wait))
    }
    for asset in PageAsset.all {
      routes.on(.get, asset.path) { request, _ in asset.response(request) }
    }
  }

  /// A page for somebody who may just have paid: also what goes wrong is said in words.
  /// - Parameter again: where to look once more; the checkout page, if not said otherwise.
  func forBuyer(
    _ request: Request, _ context: WebContext, again: String? = nil, _ work: () async throws -> Response
  ) async throws -> Response {
    do { return try await work() } catch let refusal as Refusal {
      context.refusal.code = refusal.code.rawValue
      return Self.noSuchCheckout(request)
    } catch  where Problems.isGone(error) {
      throw error
    } catch {
      let problem = Problems.problem(of: error, context)
      let page = again ?? "/checkout/\(context.parameters.get("token") ?? "")"
      return Self.unavailable(request, again: page, status: .init(code: problem.status))
    }
  }

  // MARK: The order behind a token

  private static func token(_ context: WebContext) throws(Refusal) -> CheckoutToken {
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

  // MARK: What the buyer sees

  private func view(_ order: Order) async throws -> [UInt8] {
    view(order, shop: try await shop(of: order).shownName)
  }

  private func view(_ order: Order, shop: String) -> [UInt8] {
    let now = engine.clock.now()
    let isAskable = isAskable(order)
    return rendering.buyerView(
      order, shop: shop, methods: methods(for: order), retryAt: brake(order).end, isAskable: isAskable,
      nextCheckAt: isAskable ? order.livePayment?.nextCheckAt(now, engine.rules.schedule) : nil, now: now)
  }

  /// Whether the provider of the payment under way is one of this node's; true when none is.
  func isAskable(_ order: Order) -> Bool {
    order.livePayment.map { engine.rules.account($0.provider) != nil } ?? true
  }

  func shop(of order: Order) async throws -> Merchant {
    let id = order.registration.merchant
    return try await directory.merchant(id) ?? Merchant(id: id, name: "", origins: [])
  }

  /// The order once it has changed, or as it is when the time is over. A live payment's provider is asked first.
  /// - Parameter version: the version that the caller has; `nil` to wait until nothing is under way.
  private func changed(
    _ order: Order, beyond version: Int?, within wait: Duration, _ request: Request, _ context: WebContext
  ) async throws -> Order {
    let listener = Changes.Listener.page(from: Peer.address(of: request, context.channel))
    return try await engine.changes.withSubscription(to: order.id, as: listener) { subscription in
      let isMet: @Sendable (Order) -> Bool = { order in
        version.map { order.version > $0 } ?? (order.livePayment == nil && order.status != .closing)
      }
      let now = try await asked(order)
      if isMet(now) { return now }
      if let next = await subscription.first(within: wait, where: isMet), isMet(next) { return next }
      // A view says when it was true, and the wait was long.
      return try await reading.order(order.id) ?? now
    }
  }

  /// The order after the query of its live payment was put on its way, if it could be.
  func asked(_ order: Order) async throws -> Order {
    let current = try await reading.order(order.id) ?? order
    guard let live = current.livePayment,
      case .payment(_, let asked, _)? = try? await engine.perform(.check(live.id), by: .payOnce)
    else { return current }
    return asked
  }

  /// How long one event stream lasts; the browser opens the next.
  private static let streamLife: Duration = .seconds(600)
  private static let heartbeat: Duration = .seconds(15)

  /// Server-sent events: the buyer's view, now and whenever it changes.
  private func stream(_ order: Order, as listener: Changes.Listener) async throws -> Response {
    let shop = try await shop(of: order).shownName
    // Nobody listens before the body is really written: the answer to a HEAD has none.
    let body = ResponseBody { writer in
      try await engine.changes.withSubscription(to: order.id, as: listener) { subscription in
        // A buyer who went away is noticed by the next heartbeat. Hummingbird could say so at once, but stops the program
        // when the request of whom it watches has a body that never ends.
        var order = (try? await reading.order(order.id)) ?? order
        let end = engine.clock.uptime() + Self.streamLife
        try await writer.write(event(order, shop))
        while !subscription.isOver, engine.clock.uptime() < end {
          let version = order.version
          let next = await subscription.first(within: Self.heartbeat, where: { $0.version > version })
          if let next, next.version > version {
            order = next
            try await writer.write(event(order, shop))
          } else {
            // The same once more, not a comment: a page cannot see comments, and a dead connection looks like a quiet one.
            // Where it cannot be read another node may know more.
            guard let current = try? await reading.order(order.id) else { break }
            try await writer.write(event(current, shop))
          }
        }
        try await writer.finish(nil)
      }
    }
    return Response(
      status: .ok,
      headers: [
        .contentType: "text/event-stream", .cacheControl: "no-store", .init("X-Accel-Buffering")!: "no",
      ], body: body)
  }

  private func event(_ order: Order, _ shop: String) -> ByteBuffer {
    var buffer = ByteBuffer(string: "id: \(order.version)\ndata: ")
    buffer.writeBytes(view(order, shop: shop))
    buffer.writeString("\n\n")
    return buffer
  }

  /// A buyer's try to pay. Those that come to nothing count against the address that they came from.
  private func trying(
    _ id: OrderID, _ key: IdempotencyKey?, from address: [UInt8]?,
    _ pay: () async throws -> (payment: PaymentView, isRepeat: Bool)
  ) async throws -> (payment: PaymentView, isRepeat: Bool) {
    let number: Int?
    do {
      number = try await addressBrake.begin(address) { try await reading.order($0.order)?.payment($0)?.status }
    } catch let refusal as Refusal {
      // Where nothing can start, what there is to be said is said: the same payment, or the one that is in the way.
      guard let order = try await reading.order(id),
        order.status != .open || order.livePayment != nil || order.payments.contains(where: { $0.key == key })
      else { throw refusal }
      return try await pay()
    }
    do {
      let started = try await pay()
      addressBrake.end(address, number, started: started.isRepeat ? nil : started.payment.id)
      return started
    } catch {
      addressBrake.end(address, number, started: nil)
      throw error
    }
  }

  // MARK: Without scripts

  /// How long a form waits for its outcome.
  private static let formWait: Duration = .seconds(8)

  /// Post, redirect, get: whatever happened, the page says it, so that a reload or the back button repeats nothing.
  private func payByForm(_ request: Request, _ context: WebContext) async throws -> Response {
    let token = try Self.token(context)
    let page = "/checkout/\(token.text)"
    let form: FormFields
    do { form = try await request.form() } catch is Refusal { return Self.seeOther(page) }
    guard let key = form["idempotency_key"].flatMap({ IdempotencyKey($0) }),
      let start = form["method"].flatMap({ StartPayment(choice: $0) })
    else { return Self.seeOther(page) }
    do {
      let started = try await trying(token.order, key, from: Peer.address(of: request, context.channel)) {
        try await pay(token.order, key: key, start, by: .buyer(secret: token.secret), wait: Self.formWait)
      }
      if case .redirect(let url) = started.payment.nextAction {
        var response = Self.seeOther(url)
        remember(started.payment.payment, token, in: &response)
        return response
      }
    } catch let refusal as Refusal where refusal.code != .notFound {
      context.refusal.code = refusal.code.rawValue
      // The page shows the payment that is in the way, and says that it is another one.
      let word: CheckoutWord? =
        switch (refusal.code, refusal.payment) {
        case (.paymentInProgress, nil): .held
        case (.paymentInProgress, _), (.orderPaid, _): .elsewhere
        // Of the order it is said by the page itself.
        case (.tooManyPayments, _): try await order(behind: token).map(brake) == .open ? .braked : nil
        case (.orderClosed, _), (.idempotencyKeyReused, _): nil
        default: .refused
        }
      var response = Self.seeOther(page)
      word?.say(token, in: &response)
      return response
    }
    return Self.seeOther(page)
  }

  /// For the way back from the provider's page, if the payment leads there.
  func remember(_ payment: Payment, _ token: CheckoutToken, in response: inout Response) {
    guard case .redirect? = payment.nextAction else { return }
    WayBack.remember(payment.id, token, isSecure: publicURL.hasPrefix("https://"), in: &response)
  }

  static func seeOther(_ location: String) -> Response {
    Response(status: .seeOther, headers: [.location: location, .cacheControl: "no-store"])
  }
}

extension Request {
  /// Whether checkout.js asks, and not somebody who opens a page.
  var isScripted: Bool { headers[.init("X-Requested-With")!] != nil }
}
