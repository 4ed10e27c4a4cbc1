import Foundation
import Glibc
import NIOCore

struct ListenAddress: CustomStringConvertible {
  let host: String
  let port: Int

  /// - Parameters:
  ///   - text: `host:port`, with brackets around an IPv6 address.
  ///   - option: the option's name, for complaints.
  /// - Throws: `SetupError` when it is not that.
  init(_ text: String, option: String) throws {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (0...65_535).contains(port), colon != text.startIndex
    else { throw SetupError("\(option) must be HOST:PORT, such as 127.0.0.1:8080. It is: \(text)") }
    host = text[..<colon].trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
    self.port = port
  }

  private init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  var description: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
  var isLoopback: Bool { Self.isLoopback(host) }
  /// Whether this is the address that stands for all of the machine's.
  var isWildcard: Bool { ["0.0.0.0", "::"].contains(host) }

  static func isLoopback(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return ["localhost", "::1", "[::1]"].contains(host)
      || (parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil })
  }

  /// Reserves the port, or any free one for port 0. The links that PayOnce gives out need it before the server listens.
  /// A socket that does not listen holds the port as long as this process lives. If it listened, clients would be
  /// accepted before there is a server, and wait in vain.
  /// - Throws: `SetupError` when the host is unknown or the port cannot be had.
  func reserved(option: String) throws -> ListenAddress {
    func fail(_ why: String) -> SetupError {
      SetupError("\(self) cannot be listened on: \(why). Choose another address with \(option).")
    }
    guard let wanted = try? SocketAddress.makeAddressResolvingHost(host, port: port) else {
      throw fail("there is no such host")
    }
    let family = wanted.withSockAddr { address, _ in Int32(address.pointee.sa_family) }
    let keeper = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard keeper >= 0 else { throw fail(lastError) }
    var yes: Int32 = 1
    setsockopt(keeper, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    guard wanted.withSockAddr({ bind(keeper, $0, socklen_t($1)) }) == 0 else {
      let number = errno
      close(keeper)
      guard number == EADDRINUSE else { throw fail(String(cString: strerror(number))) }
      throw SetupError("\(self) is in use by another program. Stop it, or choose another address with \(option).")
    }
    return ListenAddress(host: host, port: Self.port(of: keeper))
  }

  private static func port(of socket: Int32) -> Int {
    var address = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &address) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(socket, $0, &size) }
      // IPv4 and IPv6 have the port in the same place.
      return storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        Int(UInt16(bigEndian: $0.pointee.sin_port))
      }
    }
  }
}
