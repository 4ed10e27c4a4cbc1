import NIOCore
import Testing

@testable import Site

@Suite struct PeerTests {
  private static func peer(_ text: String) throws -> [UInt8]? {
    Peer.address(of: try SocketAddress(ipAddress: text, port: 1))
  }

  @Test func aClientHasOneAddress() throws {
    #expect(try Self.peer("203.0.113.7") == [203, 0, 113, 7])
    #expect(try Self.peer("::ffff:203.0.113.7") == [203, 0, 113, 7])
    // One household has a whole network of these.
    #expect(try Self.peer("2001:db8:1:2::1") == Self.peer("2001:db8:1:2:ffff::9"))
    #expect(try Self.peer("2001:db8:1:2::1") != Self.peer("2001:db8:1:3::1"))
    #expect(try Self.peer("172.32.0.1") != nil && Self.peer("100.128.0.1") != nil && Self.peer("192.169.0.1") != nil)
  }

  @Test(
    arguments: [
      ("203.0.113.7", [203, 0, 113, 7]), ("10.0.0.1, 203.0.113.7", [203, 0, 113, 7]),
      ("198.51.100.1,203.0.113.7:4711", [203, 0, 113, 7]), ("[2001:db8:1:2::1]:443", [32, 1, 13, 184, 0, 1, 0, 2]),
      ("2001:db8:1:2::1", [32, 1, 13, 184, 0, 1, 0, 2]),
    ] as [(String, [UInt8])])
  func theProxysWordIsTheLast(_ header: String, _ address: [UInt8]) { #expect(Peer.forwarded(header) == address) }

  @Test(arguments: [
    "", ",", "203.0.113.7,", "unknown", "10.0.0.1", "[", "203.0.113.7 , x", String(repeating: "1", count: 99),
  ])
  func whatIsNoAddressIsNobodys(_ header: String) { #expect(Peer.forwarded(header) == nil) }

  /// They are a proxy's: a bound for one client must not be one for all.
  @Test(arguments: [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "::1", "fd00::1",
    "fe80::1", "::ffff:10.0.0.1",
  ])
  func aProxyIsNobody(_ text: String) throws { #expect(try Self.peer(text) == nil) }
}
