package import PaymentCore

/// Who may call: merchants, operators and their keys.
package protocol Directory: Sendable {
  /// The store's identity: 16 random hexadecimal digits, made with the store. It is no secret.
  func storeID() async throws(Fault) -> String
  func key(_ id: String) async throws(Fault) -> StoredKey?
  func keys() async throws(Fault) -> [StoredKey]
  /// The merchant of this name, made when there is none.
  func merchant(named name: String, id: MerchantID) async throws(Fault) -> MerchantID
  func merchant(_ id: MerchantID) async throws(Fault) -> Merchant?
  /// What its buyers are told instead of its name; `nil` for the name itself.
  func setDisplayName(_ name: String?, of merchant: MerchantID) async throws(Fault)
  func mark(of merchant: MerchantID) async throws(Fault) -> Mark?
  /// `nil` for none.
  func setMark(_ mark: Mark?, of merchant: MerchantID) async throws(Fault)
  /// All of them, by name.
  func merchants() async throws(Fault) -> [Merchant]
  /// Allows an origin's pages to use a merchant's checkout, or forbids it. Either may be repeated.
  func setOrigin(_ origin: String, of merchant: MerchantID, allowed: Bool) async throws(Fault)
  func add(_ key: StoredKey) async throws(Fault)
  /// - Returns: whether there was such a key that was not revoked yet.
  func revoke(_ id: String, at now: Instant) async throws(Fault) -> Bool
}
