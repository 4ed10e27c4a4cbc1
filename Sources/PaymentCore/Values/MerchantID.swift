/// The identity of a merchant: `mer_` and characters of `[a-z0-9]`, at most 32 in all.
package struct MerchantID: Hashable, Sendable {
  package let text: String
  package init(_ text: String) { self.text = text }
}
