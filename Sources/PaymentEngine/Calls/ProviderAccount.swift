package import PaymentCore

/// An account together with the adapter that talks to its provider.
package struct ProviderAccount: Sendable {
  package let adapter: any Provider
  package let account: Account

  /// - Parameters:
  ///   - isEnabled: whether it takes new payments.
  ///   - merchant: whose orders alone are paid with it; `nil` for everybody's.
  package init(_ adapter: any Provider, isEnabled: Bool = true, merchant: MerchantID? = nil) {
    self.adapter = adapter
    account = Account(adapter.name, adapter.sheet, isEnabled: isEnabled, merchant: merchant)
  }
}
