import Crypto
import FoundationEssentials

/// Signs notices as Standard Webhooks 1.0.0 asks.
struct StandardWebhookSigner: Sendable {
  private let key: SymmetricKey

  /// - Parameter secret: `whsec_` and at least 16 bytes in base 64. Anything else makes `nil`.
  init?(secret: String) {
    guard secret.hasPrefix("whsec_"), let data = Data(base64Encoded: String(secret.dropFirst(6))), data.count >= 16
    else { return nil }
    key = SymmetricKey(data: data)
  }

  /// - Parameter timestamp: seconds since 1970.
  func headers(id: String, timestamp: Int64, body: String) -> [(String, String)] {
    let code = HMAC<SHA256>.authenticationCode(for: Data("\(id).\(timestamp).\(body)".utf8), using: key)
    return [
      ("webhook-id", id), ("webhook-timestamp", String(timestamp)),
      ("webhook-signature", "v1," + Data(code).base64EncodedString()),
    ]
  }
}
