// What is done with text from outside. Swift's own comparing, ordering, hashing and searching of text is by what it looks
// like (canonical equivalence, grapheme clusters). That takes `\u{212A}WD` for `KWD`, and is quadratic in a run of combining
// marks, of which 64 kB cost seconds. So what comes from outside is compared and hashed as bytes, or is known to be
// ASCII or short first.

extension StringProtocol {
  /// Whether both are the same bytes.
  package func isExactly(_ other: some StringProtocol) -> Bool { utf8.elementsEqual(other.utf8) }

  /// Whether it is printable ASCII throughout. For such text Swift's own comparing is exact, and as fast as of bytes.
  package var isPrintableASCII: Bool { utf8.allSatisfy { (0x20...0x7E).contains($0) } }
}

extension String {
  /// The same without generics, which other modules would pay for.
  package func isExactly(_ other: String) -> Bool { utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8) }
}

extension CaseIterable where Self: RawRepresentable<String> {
  /// The case that is written with these bytes.
  package init?(exactly text: some StringProtocol) {
    guard let value = Self.allCases.first(where: { $0.rawValue.isExactly(text) }) else { return nil }
    self = value
  }
}

extension Unicode.Scalar {
  /// Whether it may stand in a text that other people and their programs will see: on a page, in a log, in a table.
  ///
  /// Refused are characters that do something to what stands around them while nobody sees them:
  /// - control characters, and the separators of lines and paragraphs, which begin a new line in logs and files;
  /// - the twelve bidi controls. An override turns the text after it round, an embedding or isolate that is not closed
  ///   reaches beyond the text, and a mark moves numbers and punctuation beside it, so that an amount or a name reads as
  ///   another one. Nobody needs them here: letters carry their direction, and a page isolates each text in it.
  ///
  /// Allowed are the joiners (U+200C, U+200D), though invisible, too: Persian and the scripts of India are spelled
  /// with them, emoji are made with them, and they act on their two neighbours alone.
  package var isHarmless: Bool {
    if isASCII { return (0x20...0x7E).contains(value) }
    return switch properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: false
    default: !properties.isBidiControl
    }
  }
}
