import Contract
package import HTTPTypes
package import Hummingbird
package import PaymentCore

extension Request {
  /// The value of the `Idempotency-Key` header.
  /// - Throws: a refusal when the header is missing, repeated or malformed.
  package func idempotencyKey() throws(Refusal) -> IdempotencyKey {
    let values = headers[values: .idempotencyKey]
    guard values.count <= 1 else {
      throw Refusal(.idempotencyKeyInvalid, "Send one Idempotency-Key header, not several.")
    }
    return try IdempotencyKey(header: values.first)
  }

  /// How long the caller wants to wait for an outcome: `Prefer: wait=S` (RFC 7240), 0 to 60 seconds; 10 when it is not
  /// given.
  /// - Throws: `invalid_request` for any other value of `wait`.
  package func preferredWait() throws(Refusal) -> Duration {
    for preference in (headers[.prefer] ?? "").split(separator: ",") {
      let parts = preference.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1)
        .map { $0.filter { !$0.isWhitespace } }
      guard parts.first?.lowercased() == "wait" else { continue }
      guard parts.count == 2, let seconds = Int64(parts[1]), (0...60).contains(seconds) else {
        throw Refusal(
          .invalidRequest, "A header is wrong.",
          errors: [.init(field: "Prefer", message: "wait must be an integer, 0 to 60")])
      }
      return .seconds(seconds)
    }
    return .seconds(10)
  }

  /// The value of the first cookie of this name, as bytes.
  package func cookie(_ name: String) -> Substring.UTF8View? {
    for cookies in headers[values: .cookie] {
      for pair in cookies.utf8.split(separator: UInt8(ascii: ";")) {
        let pair = pair.drop { $0 == UInt8(ascii: " ") }
        if pair.starts(with: "\(name)=".utf8) { return pair.dropFirst(name.utf8.count + 1) }
      }
    }
    return nil
  }
}

extension HTTPField.Name {
  package static let prefer = HTTPField.Name("Prefer")!
  package static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
  package static let idempotencyReplayed = HTTPField.Name("Idempotency-Replayed")!
  package static let requestID = HTTPField.Name("X-Request-Id")!
  package static let contentTypeOptions = HTTPField.Name("X-Content-Type-Options")!
}
