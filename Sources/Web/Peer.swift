import NIOCore

/// The address from which a connection comes, as far as it tells who that is.
enum Peer {
  /// An IPv4 address, or the network of an IPv6 one (its first 64 bits), of which one client has many.
  /// - Returns: `nil` for this machine and private networks: behind a proxy they are everybody's.
  static func address(of channel: any Channel) -> [UInt8]? { channel.remoteAddress.flatMap(address(of:)) }

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
