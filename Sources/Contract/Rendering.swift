package import PaymentCore

/// Writes orders, payments, refunds, events and the buyer's view as JSON. Nothing else writes them.
package struct Rendering: Sendable {
  /// The address at which buyers reach the server, without a slash at its end.
  private let publicURL: String

  package init(publicURL: String) { self.publicURL = publicURL }

  /// The address of the order's checkout page.
  package func checkoutURL(_ order: Order) -> String { "\(publicURL)/checkout/\(order.checkoutToken.text)" }

  package func order(_ order: Order) -> [UInt8] { document { self.order(order, into: &$0) } }
  package func payment(_ payment: PaymentView) -> [UInt8] { document { Self.payment(payment, into: &$0) } }
  package func refund(_ refund: Refund) -> [UInt8] { document { Self.refund(refund, into: &$0) } }

  /// A page of a list: `{data, next}`. `next` is the cursor of the page after it, `null` when there is none.
  package func list<Item>(_ items: [Item], next: String?, _ write: (Item, inout JSONWriter) -> Void) -> [UInt8] {
    document { writer in
      writer.array("data") { writer in for item in items { writer.object { write(item, &$0) } } }
      writer.string("next", next)
    }
  }

  package func document(_ body: (inout JSONWriter) -> Void) -> [UInt8] {
    var writer = JSONWriter()
    writer.object(body)
    return writer.bytes
  }

  package func order(_ order: Order, into writer: inout JSONWriter) {
    let registration = order.registration
    writer.string("id", order.id.text)
    writer.string("number", order.number.text)
    writer.string("reference", registration.reference)
    writer.integer("amount", registration.amount.amount)
    writer.string("currency", registration.amount.currency.code)
    writer.string("description", registration.description)
    writer.string("status", order.status.rawValue)
    writer.string("close_reason", order.closeReason?.rawValue)
    writer.integer("amount_refunded", order.amountRefunded)
    writer.integer("duplicates_prevented", Int64(order.duplicates.count))
    writer.string("late_payment", registration.latePayment.rawValue)
    writer.string("checkout_url", checkoutURL(order))
    writer.string("return_url", registration.returnURL)
    writer.string("cancel_url", registration.cancelURL)
    writer.fields("metadata", registration.metadata)
    Self.optionalPayment("payment", order.currentPayment.map(order.view), into: &writer)
    writer.instant("expires_at", order.expiresAt)
    writer.instant("created_at", order.createdAt)
    writer.instant("paid_at", order.paidAt)
    writer.instant("closed_at", order.closedAt)
  }

  private static func optionalPayment(
    _ name: StaticString, _ payment: PaymentView?, isAskable: Bool = true, into writer: inout JSONWriter
  ) {
    guard let payment else { return writer.null(name) }
    writer.object(name) { Self.payment(payment, isAskable: isAskable, into: &$0) }
  }

  /// - Parameter isAskable: false leaves out `next_action`.
  package static func payment(_ view: PaymentView, isAskable: Bool = true, into writer: inout JSONWriter) {
    let payment = view.payment
    writer.string("id", payment.id.text)
    writer.string("order", payment.id.order.text)
    writer.string("number", view.number.text)
    writer.string("provider", payment.provider.text)
    writer.string("method", payment.method)
    writer.integer("amount", payment.amount.amount)
    writer.string("currency", payment.amount.currency.code)
    writer.integer("amount_received", payment.received?.amount)
    writer.string("currency_received", payment.received?.currency.code)
    writer.integer("amount_refunded", view.amountRefunded)
    writer.integer("amount_refundable", view.amountRefundable)
    writer.string("status", payment.status.rawValue)
    writer.string("surplus", payment.surplus?.rawValue)
    writer.instant("captured_at", payment.capturedAt)
    writer.instant("unknown_since", payment.unknownSince)
    switch isAskable ? payment.nextAction : nil {
    case .redirect(let url):
      writer.object("next_action") {
        $0.string("type", "redirect")
        $0.string("url", url)
      }
    case .qrCode(let content):
      writer.object("next_action") {
        $0.string("type", "qr_code")
        $0.string("content", content)
      }
    case .clientSecret(let secret):
      writer.object("next_action") {
        $0.string("type", "client_secret")
        $0.string("client_secret", secret)
      }
    case nil: writer.null("next_action")
    }
    Self.failure(payment.failure, into: &writer)
    writer.string("provider_reference", payment.providerReference)
    writer.instant("close_requested_at", payment.closeRequestedAt)
    writer.instant("expires_at", payment.expiresAt)
    writer.instant("created_at", payment.createdAt)
    writer.instant("updated_at", payment.updatedAt)
  }

  private static func failure(_ failure: Failure?, into writer: inout JSONWriter) {
    guard let failure else { return writer.null("failure") }
    writer.object("failure") {
      $0.string("code", failure.code)
      $0.string("message", failure.message)
    }
  }

  package static func refund(_ refund: Refund, into writer: inout JSONWriter) {
    writer.string("id", refund.id.text)
    writer.string("payment", refund.payment.text)
    writer.string("order", refund.id.order.text)
    writer.string("number", refund.number?.text)
    writer.integer("amount", refund.amount.amount)
    writer.string("currency", refund.amount.currency.code)
    writer.string("cause", refund.cause.rawValue)
    writer.string("reason", refund.reason)
    writer.string("status", refund.status.rawValue)
    failure(refund.failure, into: &writer)
    writer.instant("unknown_since", refund.unknownSince)
    writer.instant("created_at", refund.createdAt)
    writer.instant("updated_at", refund.updatedAt)
  }

  package static func event(_ event: Event, into writer: inout JSONWriter) {
    writer.string("id", event.id.text)
    writer.string("type", event.type.rawValue)
    writer.string("order", event.id.order.text)
    writer.integer("sequence", Int64(event.id.sequence))
    writer.instant("created_at", event.at)
    writer.fields("data", event.data)
  }

  /// The view of the holder of a checkout token. It has no metadata and no other order.
  /// - Parameters:
  ///   - methods: the ways to pay that the buyer can choose from.
  ///   - retryAt: when there will be ways to pay again, if only time is needed.
  ///   - isAskable: whether the provider of the live payment can be asked. While it cannot, nobody would learn what the
  ///     buyer does there, so `next_action` is left out.
  ///   - nextCheckAt: when the provider of the live payment is asked next.
  ///   - now: the time of this answer. The clock of the buyer's device may be wrong.
  package func buyerView(
    _ order: Order, shop: String, methods: [BuyerMethod], retryAt: Instant?, isAskable: Bool, nextCheckAt: Instant?,
    now: Instant
  ) -> [UInt8] {
    document { writer in
      writer.string("status", order.status.rawValue)
      writer.string("close_reason", order.closeReason?.rawValue)
      writer.integer("amount", order.registration.amount.amount)
      writer.string("currency", order.registration.amount.currency.code)
      writer.string("description", order.registration.description)
      writer.string("shop", shop)
      writer.instant("expires_at", order.expiresAt)
      writer.instant("now", now)
      writer.instant("next_check_at", nextCheckAt)
      writer.bool("provider_available", isAskable)
      writer.instant("retry_at", retryAt)
      writer.array("methods") { writer in
        for method in methods {
          writer.object {
            $0.string("provider", method.provider.text)
            $0.string("method", method.method)
          }
        }
      }
      Self.optionalPayment("payment", order.currentPayment.map(order.view), isAskable: isAskable, into: &writer)
      Self.optionalPayment("last_payment", order.payments.last.map(order.view), isAskable: isAskable, into: &writer)
      writer.array("returned") { writer in
        for refund in order.refunds {
          writer.object {
            $0.integer("amount", refund.amount.amount)
            $0.string("currency", refund.amount.currency.code)
            $0.string("status", refund.status.rawValue)
          }
        }
      }
      writer.integer("version", Int64(order.version))
    }
  }
}

/// One way to pay that a buyer is offered.
package struct BuyerMethod: Hashable, Sendable {
  package let provider: ProviderName
  package let method: String
  package init(provider: ProviderName, method: String) {
    self.provider = provider
    self.method = method
  }
}
