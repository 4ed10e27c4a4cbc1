import Foundation
import PaymentCore

/// Writes a line to standard output at once. It is dropped when nobody reads it, and the work goes on.
func announce(_ line: String) { try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8)) }

/// Writes a line to standard error, so that it does not mix with the command's output.
func explain(_ line: String) { try? FileHandle.standardError.write(contentsOf: Data(("payonce: " + line + "\n").utf8)) }

extension String {
  /// The text without what does something to a terminal, or breaks a line or its columns.
  /// - Parameter instead: stands in its place.
  func harmless(_ instead: Unicode.Scalar) -> String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0.isHarmless ? $0 : instead }))
  }
}

extension [String] {
  /// One line of these columns, with tabs between. A shop's number may hold characters that would break it.
  var line: String { map { $0.harmless(" ") }.joined(separator: "\t") }
}
