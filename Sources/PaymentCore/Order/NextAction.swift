/// What the buyer has to do for a payment to go on.
package enum NextAction: Hashable, Sendable {
  /// Go to this page of the provider.
  case redirect(url: String)
  /// Scan a QR code with this content.
  case qrCode(content: String)
  /// Confirm with the provider's own script and this secret.
  case clientSecret(String)
}
