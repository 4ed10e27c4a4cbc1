import Foundation
import Glibc
import NIOCore

/// Where a server listens.
struct ListenAddress: CustomStringConvertible {
  let host: String
  let port: Int

  /// - Parameter text: `host:port`, with brackets around an IPv6 address.
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
  /// Whether it stands for all addresses of this machine.
  var isWildcard: Bool { ["0.0.0.0", "::"].contains(host) }

  static func isLoopback(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return ["localhost", "::1", "[::1]"].contains(host)
      || (parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil })
  }

  /// This address with a port that is free: its own, or any if it has none. The links that PayOnce gives out must be
  /// known before it listens. The port is kept by a socket that takes no connections, as long as this process lives: who
  /// is accepted before there is a server waits in vain.
  func reserved(option: String) throws -> ListenAddress {
    func fail(_ why: String) -> SetupError {
      SetupError("\(self) cannot be listened on: \(why). Choose another address with \(option).")
    }
    guard let wanted = try? SocketAddress.makeAddressResolvingHost(host, port: port) else {
      throw fail("there is no such host")
    }
    let family = wanted.withSockAddr { address, _ in Int32(address.pointee.sa_family) }
    let keeper = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard keeper >= 0 else { throw fail(String(cString: strerror(errno))) }
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
      // Both families have it in the same place.
      return storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        Int(UInt16(bigEndian: $0.pointee.sin_port))
      }
    }
  }
}
