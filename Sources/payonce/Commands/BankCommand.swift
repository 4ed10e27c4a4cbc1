import ArgumentParser
import AsyncHTTPClient
import Bank
import Foundation
import Hummingbird
import HummingbirdCore
import Listener
import Logging
import NIOCore
import Providers
import ServiceLifecycle
import UnixSignals

struct BankCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bank", abstract: "Run the sandbox bank alone.",
    discussion: """
      The bank takes no real money. It keeps books of its own: GET /books shows what was charged, PUT /faults makes it
      lose requests and answers, fail, be slow, and double, delay and lose its notices.

      Where others can reach it, it needs PAYONCE_BANK_SECRET, to sign its notices with, and PAYONCE_BANK_KEY, which \
      GET /books, GET /faults and PUT /faults then ask for: Authorization: Bearer KEY.
      """)

  @Option(help: "Where to listen. (default: 127.0.0.1:8090)")
  var listen: String?
  @Option(help: "The file of the books. (default: ./data/bank.db)")
  var books: String?
  @OptionGroup var log: LogOption

  func run() async throws {
    try await reporting {
      let address = try ListenAddress(
        Setting.value(listen, .listen) ?? "127.0.0.1:8090", option: Setting.source(listen, .listen)
      )
      .reserved(option: Setting.source(listen, .listen))
      let logger = try log.logger("bank")
      try await Wire.withClient(connections: min(32, Descriptors.all.calls)) { client in
        let running = try RunningBank(
          books: Setting.value(books, .books) ?? "./data/bank.db",
          secret: try .ofOthers(isPrivate: address.isLoopback), key: try Self.key(address), address: address,
          places: try Descriptors.all.bankAlonePlaces(), client: client, logger: logger)
        Setting.warnOfOthers(logger)
        var configuration = ServiceGroupConfiguration(
          services: running.services(announcing: true), gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        try await ServiceGroup(configuration: configuration).run()
      }
    }
  }
}

extension BankCommand {
  /// The key for faults and books. A bank that only this machine can reach needs none.
  /// - Throws: `SetupError` when the key is missing or weak.
  private static func key(_ address: ListenAddress) throws -> String? {
    guard let key = Setting.value(nil, .bankKey) else {
      guard address.isLoopback else {
        throw SetupError(
          "Set PAYONCE_BANK_KEY, such as $(openssl rand -hex 24): others can reach this bank, and its faults and books "
            + "are not for everybody.")
      }
      return nil
    }
    guard key.utf8.count >= 16, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw SetupError("PAYONCE_BANK_KEY must be at least 16 printable ASCII characters, without blanks.")
    }
    return key
  }
}
