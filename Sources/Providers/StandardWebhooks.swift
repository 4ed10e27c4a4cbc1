import Crypto
import FoundationEssentials

/// Verifies signatures of Standard Webhooks 1.0.0: HMAC-SHA256 over id, time and body.
package struct StandardWebhookVerifier: Sendable {
  private let key: SymmetricKey

  /// How far a message's time may be from ours, in seconds.
  package static let tolerance: Int64 = 300

  /// - Parameter secret: `whsec_` and at least 16 bytes in base 64. Anything else makes `nil`.
  package init?(secret: String) {
    guard secret.hasPrefix("whsec_"), let data = Data(base64Encoded: String(secret.dropFirst(6))), data.count >= 16
    else { return nil }
    key = SymmetricKey(data: data)
  }

  /// Whether one of the message's first eight signatures is right, and its time is near `now`.
  /// - Parameters:
  ///   - headers: with names in lower case.
  ///   - now: seconds since 1970.
  package func verifies(headers: [String: String], body: [UInt8], now: Int64) -> Bool {
    guard let id = headers["webhook-id"], let time = headers["webhook-timestamp"], let timestamp = Int64(time),
      let signatures = headers["webhook-signature"], (now - Self.tolerance...now + Self.tolerance).contains(timestamp)
    else { return false }
    let message = Data("\(id).\(time).".utf8) + body
    // A message has several signatures while a secret is being changed. Eight are looked at, since a stranger may send
    // thousands.
    return Array(signatures.utf8).split(separator: UInt8(ascii: " "), maxSplits: 8).prefix(8).contains { signature in
      guard signature.starts(with: "v1,".utf8), signature.count <= 64,
        let code = Data(base64Encoded: String(decoding: signature.dropFirst(3), as: UTF8.self))
      else { return false }
      return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: message, using: key)
    }
  }
}
