/// A merchant's mark: a small picture that stands with its name on its buyers' pages.
package struct Mark: Hashable, Sendable {
  /// The forms that every browser shows and that hold no script.
  package enum Form: String, Sendable, CaseIterable { case png, jpeg, webp }

  /// In bytes. It is loaded with every page.
  package static let limit = 64 << 10

  package let bytes: [UInt8]
  package let form: Form

  /// `nil` for what is larger than `limit`, and for what does not begin as one of the forms does.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count <= Self.limit, let form = Form(of: bytes) else { return nil }
    self.bytes = bytes
    self.form = form
  }
}

extension Mark.Form {
  /// As the first bytes tell it.
  init?(of bytes: [UInt8]) {
    if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
      self = .png
    } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if bytes.starts(with: "RIFF".utf8), bytes.dropFirst(8).starts(with: "WEBP".utf8) {
      self = .webp
    } else {
      return nil
    }
  }
}
