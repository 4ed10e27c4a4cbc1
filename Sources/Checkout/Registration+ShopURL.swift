import PaymentCore
import Site

extension Order.Registration {
  /// The address at the shop to which the buyer goes on; `nil` when the shop named none. It carries the shop's own
  /// number, which tells the shop which order it was and proves nothing.
  /// - Parameter isOver: whether nothing is left to do here. Then `return_url` comes before `cancel_url`, else after
  ///   it.
  func shopURL(isOver: Bool) -> String? {
    guard let url = isOver ? returnURL ?? cancelURL : cancelURL ?? returnURL else { return nil }
    let parts = url.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    let address = parts[0]
    let separator = !address.contains("?") ? "?" : address.hasSuffix("?") || address.hasSuffix("&") ? "" : "&"
    let fragment = parts.count > 1 ? "#\(parts[1])" : ""
    return "\(address)\(separator)reference=\(Self.encoded(reference))\(fragment)"
  }

  /// The text as a value in a query: every byte that RFC 3986 does not call unreserved is escaped.
  private static func encoded(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      bytes += byte.isUnreserved ? [byte] : "%".utf8 + [hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static let hexadecimal = Array("0123456789ABCDEF".utf8)
}
