package import PaymentCore

/// The body of `POST /v1/orders`.
package struct RegisterOrder {
  package let registration: Order.Registration

  package init(body: some Collection<UInt8>, merchant: MerchantID) throws(Refusal) {
    var reader = try RequestReader(body: body)
    let reference = reader.requiredASCII("reference", maximum: 64)
    let amount = reader.requiredInteger("amount", in: Money.orderAmounts, unit: Self.minorUnits)
    let currency = reader.requiredCurrency("currency")
    let description = reader.text("description", maximum: 256)
    let expiresIn = reader.integer("expires_in", in: ReopenOrder.lives)
    let latePayment: Order.Registration.LatePayment = reader.word("late_payment") ?? .refund
    let returnURL = reader.webAddress("return_url")
    let cancelURL = reader.webAddress("cancel_url")
    let metadata = reader.texts("metadata")
    try reader.finish()
    registration = Order.Registration(
      merchant: merchant, reference: reference, amount: Money(amount, currency!), description: description,
      expiresIn: expiresIn, latePayment: latePayment, returnURL: returnURL, cancelURL: cancelURL, metadata: metadata)
  }

  static let minorUnits = "in the currency's minor units: 1999 is 19.99 EUR, or 1,999 JPY"
}

/// The body of `POST /v1/orders/{id}/reopen`.
package struct ReopenOrder {
  /// The new life in seconds; `nil` for the one that the order had at first.
  package let expiresIn: Int64?

  /// How many seconds an order may live.
  static let lives: ClosedRange<Int64> = 60...30 * 86_400

  package init(body: some Collection<UInt8>) throws(Refusal) {
    var reader = try RequestReader(body: body)
    expiresIn = reader.integer("expires_in", in: Self.lives)
    try reader.finish()
  }
}

/// The body of `POST /v1/orders/{id}/payments`.
package struct StartPayment {
  package let provider: ProviderName
  package let method: String?

  package init(provider: ProviderName, method: String?) {
    self.provider = provider
    self.method = method
  }

  package init(body: some Collection<UInt8>) throws(Refusal) {
    var reader = try RequestReader(body: body)
    provider = ProviderName(reader.requiredASCII("provider", maximum: 32))
    method = reader.asciiText("method", maximum: 32)
    try reader.finish()
  }

  /// Reads the value of the checkout form's choice; `nil` when it is malformed.
  /// - Parameter choice: provider and method, each 1 to 32 characters of printable ASCII, with a colon between them.
  package init?(choice: String) {
    guard choice.isPrintableASCII, let colon = choice.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    let (provider, method) = (choice[..<colon], choice[choice.utf8.index(after: colon)...])
    guard (1...32).contains(provider.utf8.count), (1...32).contains(method.utf8.count) else { return nil }
    self.init(provider: ProviderName(String(provider)), method: String(method))
  }
}

/// The body of `POST /v1/payments/{id}/refunds`.
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

/// The body of `POST /v1/operator/cases/{id}/resolve`.
package struct ResolveCase {
  package let choice: Case.Choice
  package let note: String?

  package init(body: some Collection<UInt8>) throws(Refusal) {
    var reader = try RequestReader(body: body)
    let choice: Case.Choice? = reader.requiredWord("choice")
    note = reader.text("note", maximum: Self.longestNote)
    try reader.finish()
    self.choice = choice!
  }

  /// In characters.
  package static let longestNote = 500
}

/// The check of a request that has no fields: the body must be empty or an empty object.
package enum NoFields {
  package static func check(body: some Collection<UInt8>) throws(Refusal) { try RequestReader(body: body).finish() }
}

extension IdempotencyKey {
  /// Reads the `Idempotency-Key` header: bare, or quoted as an RFC 8941 string.
  /// - Throws: `idempotency_key_missing`, or `idempotency_key_invalid` unless it is 1 to 255 characters of printable
  ///   ASCII.
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
    let (quote, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
    guard header.utf8.first == quote else { return header.utf8.contains(quote) ? nil : header }
    guard header.utf8.count >= 2, header.utf8.last == quote else { return nil }
    var text: [UInt8] = []
    var isEscaped = false
    for byte in header.utf8.dropFirst().dropLast() {
      if isEscaped {
        guard byte == quote || byte == backslash else { return nil }
        text.append(byte)
        isEscaped = false
      } else if byte == backslash {
        isEscaped = true
      } else if byte == quote {
        return nil
      } else {
        text.append(byte)
      }
    }
    return isEscaped ? nil : String(decoding: text, as: UTF8.self)
  }
}
