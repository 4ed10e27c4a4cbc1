import Crypto
import FoundationEssentials

/// The key that requests for the bank's faults and books must show, when other machines can reach the bank.
struct BankKey: Sendable {
  private let hash: SHA256.Digest

  init(_ text: String) { hash = Self.hash(of: "Bearer " + text) }

  /// Compares hashes: the time that it takes tells nothing about the key.
  func isShown(by authorization: String?) -> Bool { authorization.map { Self.hash(of: $0) == hash } ?? false }

  private static func hash(of text: String) -> SHA256.Digest { SHA256.hash(data: Data(text.utf8)) }
}
