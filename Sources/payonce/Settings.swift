import ArgumentParser
import Foundation
import Glibc
import Logging
import NIOCore
import PaymentEngine

/// Looks an option up: the command line wins over the environment, the environment over the default.
struct Setting {
  enum Name: String, CaseIterable {
    case store, listen, lanes, sandbox, bank, books, demo, merchant, `operator`
    case publicURL = "public_url"
    case bankListen = "bank_listen"
    case bankSecret = "bank_secret"
    case bankKey = "bank_key"
    case callTimeout = "call_timeout"
    case logLevel = "log_level"

    /// Of the environment.
    var variable: String { "PAYONCE_" + rawValue.uppercased() }
    /// Of the command line.
    var flag: String { "--" + rawValue.replacing("_", with: "-") }
  }
  private static let environment = ProcessInfo.processInfo.environment

  static func value(_ option: String?, _ name: Name) -> String? {
    option ?? environment[name.variable].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The name by which a value was given, for complaints: the option's, or the environment's.
  static func source(_ option: String?, _ name: Name) -> String {
    option == nil && value(nil, name) != nil ? name.variable : name.flag
  }

  /// Warns of what looks like a setting in the environment and is none.
  static func warnOfOthers(_ logger: Logger) {
    let known = Set(Name.allCases.map(\.variable))
    for name in environment.keys.sorted() where name.hasPrefix("PAYONCE_") && !known.contains(name) {
      logger.warning("\(name) is in the environment and is no setting")
    }
  }
}

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

/// Holds a file for this process alone, as long as it lives: a second server on the same store would not be told of what
/// the first one does.
func holdAlone(_ path: String) throws {
  let lock = path + ".lock"
  let file = Glibc.open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
  guard file >= 0 else { throw SetupError("The file \(lock) cannot be made: \(String(cString: strerror(errno))).") }
  guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
    close(file)
    throw SetupError("\(path) is in use by another PayOnce server. Stop that one, or choose another file.")
  }
}

/// Makes the folder of a file, if need be.
func makeFolder(of path: String) throws {
  let folder = (path as NSString).deletingLastPathComponent
  var made = folder.hasPrefix("/") ? "/" : ""
  for part in folder.split(separator: "/") {
    made += part + "/"
    guard mkdir(made, 0o777) == 0 || errno == EEXIST else {
      throw SetupError("The folder \(folder) cannot be made: \(String(cString: strerror(errno))).")
    }
  }
}

struct LogOption: ParsableArguments {
  @Option(help: "What to log: debug, info, notice, warning, error. (default: info)")
  var logLevel: String?

  func logger(_ label: String) throws -> Logger {
    let text = Setting.value(logLevel, .logLevel) ?? "info"
    guard let level = Logger.Level(rawValue: text) else {
      throw SetupError(
        "\(Setting.source(logLevel, .logLevel)) must be debug, info, notice, warning or error. It is: \(text)")
    }
    var logger = Logger(label: label, factory: { _ in LineLog() })
    logger.logLevel = level
    return logger
  }
}

extension IOError {
  /// What the system says, without the name of the function that was told so.
  var inWords: String { String(cString: strerror(errnoCode)) }
}

extension AsyncParsableCommand {
  /// Runs a command and says what is wrong with the setup in one line.
  func reporting(_ work: () async throws -> Void) async throws {
    let complaint: String
    do { return try await work() } catch let error as SetupError {
      complaint = error.description
    } catch let fault as Fault {
      complaint = "The store does not work at the moment (\(fault.reason)). Is its disk full, or is it busy? Try again."
    } catch let error as IOError {
      complaint = "It cannot go on: \(error.inWords)."
    }
    explain(complaint)
    throw ExitCode(2)
  }
}
