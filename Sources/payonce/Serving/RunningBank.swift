import AsyncHTTPClient
import Bank
import Hummingbird
import HummingbirdCore
import Listener
import Logging
import NIOCore
import ServiceLifecycle

/// A bank and its server.
struct RunningBank {
  private let bank: SandboxBank
  private let address: ListenAddress
  private let listener: Listener
  private let logger: Logger

  /// - Parameters:
  ///   - books: the file of the books. Its folder is made, and the file is locked for this process.
  ///   - places: how many connections there may be.
  init(
    books: String, secret: BankSecret, key: String?, address: ListenAddress, places: Int, client: HTTPClient,
    logger: Logger
  ) throws {
    try makeFolder(of: books)
    try holdAlone(books)
    do { bank = try SandboxBank(books: books, secret: secret.text, key: key, client: client, logger: logger) } catch {
      throw SetupError("\(error)")
    }
    self.address = address
    listener = Listener(places: places, refusal: .init(status: 503, headers: [], body: []))
    self.logger = logger
  }

  /// - Parameter announcing: whether to print a line once the bank listens.
  func services(announcing: Bool) -> [any Service] {
    let address = address
    let application = Application(
      router: bank.router(), server: listener.server,
      configuration: address.configuration(of: listener, backlog: 1024, logger),
      onServerRunning: { _ in if announcing { announce("bank listening on http://\(address)") } }, logger: logger)
    let bank = bank
    return [
      ClosureService { await cancelWhenGracefulShutdown { await bank.run() } },
      application,
    ]
  }
}

/// A service that runs one function.
struct ClosureService: Service {
  private let work: @Sendable () async throws -> Void
  init(_ work: @escaping @Sendable () async throws -> Void) { self.work = work }
  func run() async throws { try await work() }
}
