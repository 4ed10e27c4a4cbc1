import Crypto
import FoundationEssentials
package import PaymentEngine

/// An API key or an operator's login as it is shown once: a prefix, 16 characters by which it is found, 32 that are
/// secret.
package struct AccessKey: Sendable {
  package let text: String
  /// What is kept of it.
  package let id: String
  package let hash: [UInt8]
  /// A login for an operator, which is no API key.
  var isOperators: Bool { text.hasPrefix("op_") }

  package static func merchant(_ randomness: any Randomness) -> AccessKey { make("sk_", randomness) }
  package static func `operator`(_ randomness: any Randomness) -> AccessKey { make("op_", randomness) }

  private static func make(_ prefix: String, _ randomness: any Randomness) -> AccessKey {
    let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")
    let characters = (0..<48).map { _ in alphabet[Int(randomness.next() >> 59)] }
    return AccessKey(text: prefix + String(characters))!
  }

  /// Takes a key apart; `nil` when it cannot be one.
  package init?(text: String) {
    guard text.utf8.count == 51, text.hasPrefix("sk_") || text.hasPrefix("op_") else { return nil }
    self.text = text
    id = String(text.prefix(19))
    hash = Array(SHA256.hash(data: Data(text.utf8)))
  }
}
