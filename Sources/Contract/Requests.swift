package import PaymentCore

/// `POST /v1/orders`: what a shop registers.
package struct RegisterOrder {
  package let registration: Order.Registration

  package init(body: some Collection<UInt8>, merchant: MerchantID) throws(Refusal) {
    var reader = try RequestReader(body: body)
    let reference = reader.requiredText("reference", maximum: 64)
    if !reference.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) {
      reader.fail("reference", "must be printable ASCII")
    }
    let amount = reader.requiredInteger("amount", in: Money.orderAmounts, unit: Self.minorUnits)
    let code = reader.requiredText("currency", maximum: 64)
    let currency = Currency(code: code)
    if currency == nil, !code.isEmpty {
      reader.fail("currency", "must be an ISO 4217 code in capitals, such as CNY, EUR or USD")
    }
    let description = reader.text("description", maximum: 256)
    let expiresIn = reader.integer("expires_in", in: ReopenOrder.lives)
    let latePayment: Order.Registration.LatePayment = reader.word("late_payment") ?? .refund
    let returnURL = reader.text("return_url", maximum: 2048)
    if let returnURL, !Self.isWebAddress(returnURL) {
      reader.fail("return_url", "must be an absolute http or https URL")
    }
    let metadata = reader.texts("metadata")
    try reader.finish()
    registration = Order.Registration(
      merchant: merchant, reference: reference, amount: Money(amount, currency!), description: description,
      expiresIn: expiresIn, latePayment: latePayment, returnURL: returnURL,
      metadata: metadata)
  }

  static let minorUnits = "in the currency's minor units: 1999 is 19.99 EUR, or 1,999 JPY"

  /// An absolute http or https URL of printable ASCII, with a host and without a user name.
  private static func isWebAddress(_ text: String) -> Bool {
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
      let host = text.dropFirst(scheme.count).prefix { !"/?#".contains($0) }
      return !host.isEmpty && !host.contains("@")
        && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"\"<>\\^`{|}".utf8.contains($0) }
    }
    return false
  }
}

/// `POST /v1/orders/{id}/reopen`: for how much longer.
package struct ReopenOrder {
  /// Seconds; `nil` for as long as at first.
  package let expiresIn: Int64?

  /// How long an order may live, in seconds.
  static let lives: ClosedRange<Int64> = 60...30 * 86_400

  package init(body: some Collection<UInt8>) throws(Refusal) {
    var reader = try RequestReader(body: body)
    expiresIn = reader.integer("expires_in", in: Self.lives)
    try reader.finish()
  }
}

/// `POST /v1/orders/{id}/payments`: how the buyer wants to pay.
package struct StartPayment {
  package let provider: ProviderName
  package let method: String?

  package init(provider: ProviderName, method: String?) {
    self.provider = provider
    self.method = method
  }

  package init(body: some Collection<UInt8>) throws(Refusal) {
    var reader = try RequestReader(body: body)
    provider = ProviderName(reader.requiredText("provider", maximum: 32))
    method = reader.text("method", maximum: 32)
    try reader.finish()
  }
}

/// `POST /v1/payments/{id}/refunds`: what goes back.
package struct RequestRefund {
  package let wanted: Refund.Request

  package init(body: some Collection<UInt8>) throws(Refusal) {
    var reader = try RequestReader(body: body)
    wanted = Refund.Request(
      amount: reader.integer("amount", in: Money.orderAmounts, unit: RegisterOrder.minorUnits),
      reason: reader.text("reason", maximum: 256),
      expectedRefunded: reader.integer("expected_refunded", in: 0...Money.orderAmounts.upperBound))
    try reader.finish()
  }
}

/// A request that has no fields.
package enum NoFields {
  package static func check(body: some Collection<UInt8>) throws(Refusal) { try RequestReader(body: body).finish() }
}

extension IdempotencyKey {
  /// Reads the header: bare, or quoted as an RFC 8941 string.
  package init(header: String?) throws(Refusal) {
    guard let header else {
      throw Refusal(.idempotencyKeyMissing, "Send an Idempotency-Key header: one new key per try, the same on repeats.")
    }
    guard let key = IdempotencyKey(Self.unquoted(header) ?? "") else {
      throw Refusal(
        .idempotencyKeyInvalid, "An Idempotency-Key is 1 to 255 printable ASCII characters, bare or quoted.")
    }
    self = key
  }

  private static func unquoted(_ header: String) -> String? {
    guard header.hasPrefix("\"") else { return header.contains("\"") ? nil : header }
    guard header.utf8.count >= 2, header.hasSuffix("\"") else { return nil }
    var text = ""
    var isEscaped = false
    for character in header.dropFirst().dropLast() {
      if isEscaped {
        guard character == "\"" || character == "\\" else { return nil }
        text.append(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else if character == "\"" {
        return nil
      } else {
        text.append(character)
      }
    }
    return isEscaped ? nil : text
  }
}
