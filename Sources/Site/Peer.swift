import HTTPTypes
package import Hummingbird
package import NIOCore

/// The address from which a request comes, as far as it tells who that is.
package enum Peer {
  /// An IPv4 address, or the network of an IPv6 one (its first 64 bits), of which one client has many. This machine and
  /// private networks are a proxy's, and everybody's: of what comes from there, the proxy's word counts.
  /// - Returns: `nil` where nobody knows whose it is.
  package static func address(of request: Request, _ channel: any Channel) -> [UInt8]? {
    guard let peer = channel.remoteAddress else { return nil }
    return address(of: peer) ?? request.headers[.init("X-Forwarded-For")!].flatMap(forwarded)
  }

  /// The last entry of the header is the one that our proxy made itself; those before it are what it was told.
  static func forwarded(_ header: String) -> [UInt8]? {
    let last = header.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).last ?? ""[...].utf8
    // Some write a port behind it, and brackets around what has colons of its own.
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
    // As the system lays it out: family, port, for IPv6 the flow, and the address.
    let raw = address.withSockAddr { Array(UnsafeRawBufferPointer(start: $0, count: $1)) }
    switch address {
    case .v4: return shown(Array(raw[4..<8]))
    case .v6:
      let bytes = Array(raw[8..<24])
      // An IPv4 address in the clothes of IPv6.
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
