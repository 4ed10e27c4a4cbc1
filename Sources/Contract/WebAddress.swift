import FoundationEssentials

/// An absolute http or https address that can be called and linked to: of printable ASCII, with a host, a port between 1
/// and 65535 if it names one, and without a user name, which makes `https://bank.example@evil.example` look like a bank's.
package struct WebAddress: Hashable, Sendable {
  /// As it was given.
  package let text: String
  package let isSecure: Bool
  /// In small letters; an IPv6 address in its brackets.
  package let host: String
  /// The one that it names.
  package let port: Int?
  private let hasPathOrMore: Bool

  /// `nil` when it is none.
  package init?(_ text: String) {
    // Foundation's parser takes more: it mends what browsers and HTTP clients then read in another way.
    guard text.utf8.count <= Self.maximum,
      text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"<>\\^`{|}".utf8.contains($0) }),
      let url = URLComponents(string: text), url.user == nil, url.password == nil, let host = url.host, !host.isEmpty
    else { return nil }
    switch url.scheme?.lowercased() {
    case "https": isSecure = true
    case "http": isSecure = false
    default: return nil
    }
    // What stands between `//` and the path, as the parser understood it: no empty or strange port is hidden in it.
    let authority = text.utf8.drop { $0 != UInt8(ascii: "/") }.dropFirst(2).prefix { !"/?#".utf8.contains($0) }
    let port = url.port
    guard port.map({ (1...65_535).contains($0) }) ?? true,
      String(authority)?.lowercased() == host.lowercased() + (port.map { ":\($0)" } ?? "")
    else { return nil }
    self.text = text
    self.host = host.lowercased()
    self.port = port
    hasPathOrMore = !["", "/"].contains(url.path) || url.query != nil || url.fragment != nil
  }

  /// In bytes.
  package static let maximum = 2048

  /// Without a slash at its end, if it has no path; what a path can be put behind.
  package var base: String? {
    guard !hasPathOrMore else { return nil }
    return text.utf8.last == UInt8(ascii: "/") ? String(text.dropLast()) : text
  }

  /// As a browser names where a page comes from: in small letters, without a usual port. `nil` when it has a path.
  package var origin: String? {
    guard !hasPathOrMore else { return nil }
    let usual = isSecure ? 443 : 80
    return "\(isSecure ? "https" : "http")://\(host)" + (port.flatMap { $0 == usual ? nil : ":\($0)" } ?? "")
  }

  /// Whether it is this machine's own, which nobody else reaches.
  package var isLoopback: Bool {
    host == "localhost" || host == "[::1]" || (isIPv4 && host.utf8.starts(with: "127.".utf8))
  }

  /// Whether its host is an address, and no name that somebody can make lead elsewhere.
  package var isNumeric: Bool { host.utf8.first == UInt8(ascii: "[") || isIPv4 }

  private var isIPv4: Bool {
    let parts = host.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count == 4 && parts.allSatisfy { UInt8(String($0) ?? "") != nil }
  }
}

extension RequestReader {
  package mutating func webAddress(_ name: String) -> String? {
    guard let text = text(name, maximum: WebAddress.maximum) else { return nil }
    guard WebAddress(text) != nil else {
      fail(name, "must be an absolute http or https URL, with a host and, if it names a port, one of 1 to 65535")
      return nil
    }
    return text
  }
}
