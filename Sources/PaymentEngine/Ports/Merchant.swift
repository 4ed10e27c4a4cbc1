package import PaymentCore

/// A shop.
package struct Merchant: Hashable, Sendable {
  package let id: MerchantID
  /// The short name by which it is found. No two merchants share one.
  package let name: String
  /// The name that its buyers see; `nil` for `name` itself.
  package var displayName: String?
  /// Whether its buyers' pages show a `Mark` of it.
  package var hasMark: Bool
  /// Origins such as `https://shop.example` whose pages may use and frame its buyers' checkout, sorted.
  package var origins: [String]

  package init(id: MerchantID, name: String, displayName: String? = nil, hasMark: Bool = false, origins: [String]) {
    self.id = id
    self.name = name
    self.displayName = displayName
    self.hasMark = hasMark
    self.origins = origins
  }

  /// The name that its buyers see.
  package var shownName: String { displayName ?? name }
}
