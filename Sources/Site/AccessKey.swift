import Crypto
import FoundationEssentials
package import PaymentEngine

/// An API key, or an operator's login, as it is shown once: a prefix (`sk_` or `op_`), 16 characters by which it is
/// found, and 32 secret ones.
package struct AccessKey: Sendable {
  package let text: String
  /// The prefix and the 16 characters after it. Of a key the store keeps this and `hash`, the SHA-256 of the whole
  /// text.
  package let id: String
  package let hash: [UInt8]
  /// Whether this is an operator's login, which opens none of a shop's routes.
  var isOperators: Bool { text.hasPrefix("op_") }

  package static func merchant(_ randomness: any Randomness) -> AccessKey { make("sk_", randomness) }
  package static func `operator`(_ randomness: any Randomness) -> AccessKey { make("op_", randomness) }

  private static func make(_ prefix: String, _ randomness: any Randomness) -> AccessKey {
    let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")
    let characters = (0..<48).map { _ in alphabet[Int(randomness.next() >> 59)] }
    return AccessKey(text: prefix + String(characters))!
  }

  /// `nil` when the text is not 51 bytes that begin with `sk_` or `op_`. Nothing is looked up.
  package init?(text: String) {
    guard text.utf8.count == 51, text.hasPrefix("sk_") || text.hasPrefix("op_") else { return nil }
    self.text = text
    id = String(text.prefix(19))
    hash = Array(SHA256.hash(data: Data(text.utf8)))
  }
}
