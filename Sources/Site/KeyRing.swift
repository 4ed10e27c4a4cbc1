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
    guard case .merchant(let merchant, _) = try await holder(of: request, .merchant) else {
      throw Kind.merchant.unknown
    }
    return merchant
  }

  /// The operator whose login is in the `Authorization` header, by name.
  /// - Throws: as `merchant(of:)`.
  package func `operator`(of request: Request) async throws -> String {
    guard case .operator(let name) = try await holder(of: request, .operator) else { throw Kind.operator.unknown }
    return name
  }

  private enum Kind {
    case merchant, `operator`

    func unauthorized(_ what: String) -> Refusal {
      switch self {
      case .merchant: Refusal(.unauthorized, "Send an API key: Authorization: Bearer sk_… \(what)")
      case .operator: Refusal(.unauthorized, "Send an operator's login: Authorization: Bearer op_… \(what)")
      }
    }

    var unknown: Refusal {
      unauthorized("The key that is sent is not known here: `payonce keys list` shows those of this server's store.")
    }

    var malformed: Refusal {
      let prefix = self == .merchant ? "sk_" : "op_"
      return unauthorized(
        "What is sent is no key: those are \(prefix) and 48 characters, as `payonce keys create` prints them.")
    }

    var others: Refusal {
      switch self {
      case .merchant:
        unauthorized(
          "What is sent is an operator's login, not a shop's API key: `payonce keys create --merchant NAME` makes one.")
      case .operator:
        unauthorized(
          "What is sent is a shop's API key, not an operator's login: `payonce keys create --operator NAME` makes one.")
      }
    }
  }

  private func holder(of request: Request, _ kind: Kind) async throws -> StoredKey.Holder {
    guard let header = request.headers[.authorization] else { throw kind.unauthorized("There is none.") }
    guard header.utf8.prefix(7).elementsEqual("bearer ".utf8, by: { $0 | 0x20 == $1 }) else {
      throw kind.unauthorized("The scheme must be Bearer: what is sent has another one, or none.")
    }
    let text = String(header.utf8.dropFirst(7).drop { $0 == UInt8(ascii: " ") }) ?? ""
    guard let shown = AccessKey(text: text) else { throw kind.malformed }
    guard shown.isOperators == (kind == .operator) else { throw kind.others }
    guard let stored = try await key(shown.id), Self.isEqual(stored.hash, shown.hash) else { throw kind.unknown }
    guard stored.revokedAt == nil else { throw kind.unauthorized("The key that is sent was revoked.") }
    return stored.holder
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
