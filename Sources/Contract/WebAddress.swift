import FoundationEssentials

/// An absolute http or https address, of printable ASCII, with a host, and with a port of 1 to 65535 if it names one. A
/// user name is refused: it makes `https://bank.example@evil.example` look like a bank's.
package struct WebAddress: Hashable, Sendable {
  /// The address as it was given.
  package let text: String
  package let isSecure: Bool
  /// The host in small letters, an IPv6 address in its brackets.
  package let host: String
  /// The port, if the address names one.
  package let port: Int?
  private let hasPathOrMore: Bool

  /// `nil` when the text is no such address, or has more than `maximum` bytes.
  package init?(_ text: String) {
    // Foundation's parser is too lenient: it repairs what browsers and HTTP clients then read in another way.
    guard text.utf8.count <= Self.maximum,
      text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"<>\\^`{|}".utf8.contains($0) }),
      let url = URLComponents(string: text), url.user == nil, url.password == nil, let host = url.host, !host.isEmpty
    else { return nil }
    switch url.scheme?.lowercased() {
    case "https": isSecure = true
    case "http": isSecure = false
    default: return nil
    }
    // The text between `//` and the path must be what the parser understood. So no empty or odd port is hidden in it.
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

  /// The longest address, in bytes.
  package static let maximum = 2048

  /// The address without a slash at its end, so that a path can be appended; `nil` when it has a path, query or
  /// fragment.
  package var base: String? {
    guard !hasPathOrMore else { return nil }
    return text.utf8.last == UInt8(ascii: "/") ? String(text.dropLast()) : text
  }

  /// The origin as browsers name it: in small letters, without a default port; `nil` when the address has a path, query
  /// or fragment.
  package var origin: String? {
    guard !hasPathOrMore else { return nil }
    let usual = isSecure ? 443 : 80
    return "\(isSecure ? "https" : "http")://\(host)" + (port.flatMap { $0 == usual ? nil : ":\($0)" } ?? "")
  }

  /// Whether the host is this machine itself: `localhost`, `[::1]` or 127.0.0.0/8.
  package var isLoopback: Bool {
    host == "localhost" || host == "[::1]" || (isIPv4 && host.utf8.starts(with: "127.".utf8))
  }

  /// Whether the host is an IP address. A name could be made to lead elsewhere.
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
