/// The name under which a provider is configured and addressed: `sandbox`, `stripe`, …
package struct ProviderName: Hashable, Sendable {
  package let text: String
  package init(_ text: String) { self.text = text }
}
