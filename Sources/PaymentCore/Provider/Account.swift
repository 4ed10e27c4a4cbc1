/// A provider as this installation uses it, as far as `decide` must know.
package struct Account: Hashable, Sendable {
  package let provider: ProviderName
  package let sheet: CapabilitySheet
  /// Whether it takes new payments. What it has taken is asked about and returned all the same.
  package let isEnabled: Bool
  /// Whose orders alone are paid with it; `nil` for everybody's.
  package let merchant: MerchantID?

  package init(_ provider: ProviderName, _ sheet: CapabilitySheet, isEnabled: Bool = true, merchant: MerchantID? = nil)
  {
    self.provider = provider
    self.sheet = sheet
    self.isEnabled = isEnabled
    self.merchant = merchant
  }

  func takesPayments(for merchant: MerchantID) -> Bool { isEnabled && self.merchant.map { $0 == merchant } ?? true }
}
