/// What a caller sends to say "this is the same request": 1 to 255 printable ASCII characters.
package struct IdempotencyKey: Hashable, Sendable {
  package let text: String

  /// `nil` when it is empty, longer than 255 characters, or has a character outside `0x20...0x7E`.
  package init?(_ text: String) {
    guard (1...255).contains(text.utf8.count), text.isPrintableASCII else { return nil }
    self.text = text
  }
}
