import Crypto
import FoundationEssentials
import HTTPTypes
import Hummingbird
import PaymentCore
package import PaymentEngine
import Synchronization

/// An API key or an operator's login as it is shown once: a prefix, 16 characters by which it is found, 32 that are
/// secret.
package struct AccessKey: Sendable {
  package let text: String
  /// What is kept of it.
  package let id: String
  package let hash: [UInt8]

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

/// Finds out who calls. What the store said of a key is believed for two seconds, so that a revoked one stops soon;
/// what it did not know is asked every time, so that a new one works at once.
final class KeyRing: Sendable {
  private struct Known {
    let key: StoredKey
    let until: Duration
  }
  private let directory: any Directory
  private let clock: any Clock
  private let known = Mutex<[String: Known]>([:])

  private static let trust: Duration = .seconds(2)
  private static let capacity = 1000

  init(directory: any Directory, clock: any Clock) {
    self.directory = directory
    self.clock = clock
  }

  /// The merchant whose key the request shows.
  func merchant(of request: Request) async throws -> MerchantID {
    guard let header = request.headers[.authorization], header.prefix(7).lowercased() == "bearer ",
      let shown = AccessKey(text: String(header.dropFirst(7))), shown.text.hasPrefix("sk_"),
      let stored = try await key(shown.id), stored.revokedAt == nil,
      Self.isEqual(stored.hash, shown.hash), case .merchant(let merchant, _) = stored.holder
    else { throw Refusal(.unauthorized, "Send Authorization: Bearer with an API key that is not revoked.") }
    return merchant
  }

  private func key(_ id: String) async throws(Fault) -> StoredKey? {
    let now = clock.uptime()
    if let known = known.withLock({ $0[id] }), known.until > now { return known.key }
    guard let key = try await directory.key(id) else { return nil }
    known.withLock { known in
      if known.count >= Self.capacity { known = known.filter { $0.value.until > now } }
      if known.count < Self.capacity { known[id] = Known(key: key, until: now + Self.trust) }
    }
    return key
  }

  /// Compares in a time that does not tell where the first difference is.
  private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && zip(left, right).reduce(0) { $0 | $1.0 ^ $1.1 } == 0
  }
}
