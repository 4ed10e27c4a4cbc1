import HTTPTypes
package import Hummingbird
package import NIOCore

/// The client's address, as far as it identifies the client.
package enum Peer {
  /// The bytes of an IPv4 address, or the first 64 bits of an IPv6 one, since one client has many of those. Loopback
  /// and private addresses belong to a proxy or to anybody; for those the last entry of `X-Forwarded-For` counts.
  /// - Returns: `nil` when that does not name a public address either.
  package static func address(of request: Request, _ channel: any Channel) -> [UInt8]? {
    guard let peer = channel.remoteAddress else { return nil }
    return address(of: peer) ?? request.headers[.init("X-Forwarded-For")!].flatMap(forwarded)
  }

  /// Reads the last entry of the header, which our own proxy wrote. The entries before it are what the proxy was told.
  static func forwarded(_ header: String) -> [UInt8]? {
    let last = header.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).last ?? ""[...].utf8
    // Some proxies append a port, and put an IPv6 address in brackets.
    let bare: Substring.UTF8View
    if let open = last.firstIndex(of: UInt8(ascii: "[")) {
      bare = last[last.index(after: open)...].prefix { $0 != UInt8(ascii: "]") }
    } else {
      let trimmed = last.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != UInt8(ascii: " ") }
      let hasPort = trimmed.count { $0 == UInt8(ascii: ":") } == 1
      bare = hasPort ? trimmed.prefix { $0 != UInt8(ascii: ":") } : trimmed
    }
    guard bare.count <= 45 else { return nil }
    return (try? SocketAddress(ipAddress: String(Substring(bare)), port: 0)).flatMap(address(of:))
  }

  static func address(of address: SocketAddress) -> [UInt8]? {
    // The layout of `sockaddr_in` and `sockaddr_in6`: family and port take 4 bytes, IPv6's flow label 4 more, then
    // comes the address.
    let raw = address.withSockAddr { Array(UnsafeRawBufferPointer(start: $0, count: $1)) }
    switch address {
    case .v4: return shown(Array(raw[4..<8]))
    case .v6:
      let bytes = Array(raw[8..<24])
      // An IPv4 address that is mapped into IPv6.
      if bytes.starts(with: mapped) { return shown(Array(bytes.dropFirst(mapped.count))) }
      let isLocal = bytes[0] & 0xFE == 0xFC || (bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80)
      return isLocal || bytes == loopback ? nil : Array(bytes.prefix(8))
    case .unixDomainSocket: return nil
    }
  }

  private static let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
  private static let loopback = [UInt8](repeating: 0, count: 15) + [1]

  private static func shown(_ bytes: [UInt8]) -> [UInt8]? {
    switch (bytes[0], bytes[1]) {
    case (127, _), (10, _), (192, 168), (172, 16...31), (169, 254), (100, 64...127): nil
    default: bytes
    }
  }
}
