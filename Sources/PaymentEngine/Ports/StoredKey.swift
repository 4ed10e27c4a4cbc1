package import PaymentCore

/// A key as it is kept: never the key itself.
package struct StoredKey: Hashable, Sendable {
  package enum Holder: Hashable, Sendable {
    case merchant(MerchantID, name: String)
    case `operator`(name: String)

    package var name: String {
      switch self {
      case .merchant(_, let name), .operator(let name): name
      }
    }
  }
  /// The public part of the key, by which it is found.
  package let id: String
  /// SHA-256 of the whole key.
  package let hash: [UInt8]
  package let holder: Holder
  package let createdAt: Instant
  package let revokedAt: Instant?

  package init(id: String, hash: [UInt8], holder: Holder, createdAt: Instant, revokedAt: Instant?) {
    self.id = id
    self.hash = hash
    self.holder = holder
    self.createdAt = createdAt
    self.revokedAt = revokedAt
  }
}
