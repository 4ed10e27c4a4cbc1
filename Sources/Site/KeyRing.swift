import HTTPTypes
package import Hummingbird
package import PaymentCore
package import PaymentEngine
import Synchronization

/// Finds out which merchant calls. A key that the store knows is cached for two seconds, so that a revoked one stops
/// soon. A key that it does not know is never cached, so that a new one works at once. Only a few unknown keys are
/// looked up at a time: whoever guesses keys waits for others who guess, and the store has time for everybody else.
package final class KeyRing: Sendable {
  private struct Known {
    let key: StoredKey
    let until: Duration
  }
  private let directory: any Directory
  private let clock: any Clock
  private let known = Mutex<[String: Known]>([:])
  private let strangers = Turnstile(atOnce: 2, waiting: 1000)

  private static let trust: Duration = .seconds(2)
  private static let capacity = 1000

  package init(directory: any Directory, clock: any Clock) {
    self.directory = directory
    self.clock = clock
  }

  /// The merchant whose key is in the `Authorization` header.
  /// - Throws: the refusal `unauthorized`, which says what is wrong with the header; or a fault.
  package func merchant(of request: Request) async throws -> MerchantID {
    guard let header = request.headers[.authorization] else { throw Self.unauthorized("There is none.") }
    guard header.utf8.prefix(7).elementsEqual("bearer ".utf8, by: { $0 | 0x20 == $1 }) else {
      throw Self.unauthorized("The scheme must be Bearer: what is sent has another one, or none.")
    }
    let text = String(header.utf8.dropFirst(7).drop { $0 == UInt8(ascii: " ") }) ?? ""
    guard let shown = AccessKey(text: text) else {
      throw Self.unauthorized(
        "What is sent is no key: those are sk_ and 48 characters, as `payonce keys create` prints them.")
    }
    guard !shown.isOperators else {
      throw Self.unauthorized(
        "What is sent is an operator's login, not a shop's API key: `payonce keys create --merchant NAME` makes one.")
    }
    guard let stored = try await key(shown.id), Self.isEqual(stored.hash, shown.hash),
      case .merchant(let merchant, _) = stored.holder
    else {
      throw Self.unauthorized(
        "The key that is sent is not known here: `payonce keys list` shows those of this server's store.")
    }
    guard stored.revokedAt == nil else { throw Self.unauthorized("The key that is sent was revoked.") }
    return merchant
  }

  private static func unauthorized(_ what: String) -> Refusal {
    Refusal(.unauthorized, "Send an API key: Authorization: Bearer sk_… \(what)")
  }

  private func key(_ id: String) async throws(Fault) -> StoredKey? {
    let last = known.withLock { $0[id] }
    if let last, last.until > clock.uptime() { return last.key }
    // A key that was known before does not wait behind unknown ones.
    guard last == nil else { return try await asked(id) }
    return try await strangers.pass { () async throws(Fault) -> StoredKey? in
      // An earlier request in the line may have looked up the same key.
      if let last = self.known.withLock({ $0[id] }), last.until > self.clock.uptime() { return last.key }
      return try await self.asked(id)
    }
  }

  private func asked(_ id: String) async throws(Fault) -> StoredKey? {
    guard let key = try await directory.key(id) else {
      known.withLock { $0[id] = nil }
      return nil
    }
    let now = clock.uptime()
    known.withLock { known in
      if known.count >= Self.capacity { known = known.filter { $0.value.until > now } }
      if known.count < Self.capacity { known[id] = Known(key: key, until: now + Self.trust) }
    }
    return key
  }

  /// Compares in constant time, so that the time does not tell where the first difference is.
  private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && zip(left, right).reduce(0) { $0 | $1.0 ^ $1.1 } == 0
  }
}
