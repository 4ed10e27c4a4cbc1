package import PaymentCore

/// A shop.
package struct Merchant: Hashable, Sendable {
  package let id: MerchantID
  /// By which it is found: short, and unlike every other's.
  package let name: String
  /// What its buyers are told, where that is another name.
  package var displayName: String?
  /// Whether its buyers' pages show a `Mark` of it.
  package var hasMark: Bool
  /// Whose pages may use and frame its buyers' checkout: origins such as `https://shop.example`, sorted.
  package var origins: [String]

  package init(id: MerchantID, name: String, displayName: String? = nil, hasMark: Bool = false, origins: [String]) {
    self.id = id
    self.name = name
    self.displayName = displayName
    self.hasMark = hasMark
    self.origins = origins
  }

  /// As its buyers know it.
  package var shownName: String { displayName ?? name }
}
