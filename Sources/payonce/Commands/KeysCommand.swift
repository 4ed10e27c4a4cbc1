import ArgumentParser
import Contract
import Foundation
import OrderRows
import PaymentCore
import PaymentEngine
import Site

struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Make, list and revoke API keys and operators' logins.",
    subcommands: [Create.self, List.self, Revoke.self])

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key. It is printed once, alone, on standard output.",
      discussion: """
        A merchant's key works at once, also at servers that are already running. Which store it is in is said on standard
        error.
        """)

    @Option(help: "The merchant that the key is for; made when there is none of this name.")
    var merchant: String?
    @Option(help: "The operator that the login is for.")
    var `operator`: String?
    @OptionGroup var store: StoreOption
    @Flag(help: "Make the store ./data/payonce.db when it is not there; one that is named with --store is made anyway.")
    var newStore = false

    func run() async throws {
      try await reporting {
        let merchant = Setting.value(self.merchant, .merchant)
        let login = self.merchant == nil ? Setting.value(self.operator, .operator) : self.operator
        guard (merchant == nil) != (login == nil), let name = merchant ?? login else {
          throw SetupError("Say for whom: --merchant NAME or --operator NAME.")
        }
        try MerchantsCommand.check(name: name)
        let location = try store.location()
        let isNew = !location.exists
        guard !isNew || store.isNamed || newStore else {
          throw SetupError(
            "There is no store here, at \(location.shown). Run this in the server's folder, name the server's store with "
              + "--store or PAYONCE_STORE, or make a new one with --new-store.")
        }
        let directory = try location.open().directory
        let randomness = SystemRandomness()
        let key: AccessKey
        let holder: StoredKey.Holder
        if merchant != nil {
          key = .merchant(randomness)
          let id = Self.newMerchant(name, in: try await directory.storeID())
          holder = .merchant(try await directory.merchant(named: name, id: id), name: name)
        } else {
          key = .operator(randomness)
          holder = .operator(name: name)
        }
        try await directory.add(
          StoredKey(id: key.id, hash: key.hash, holder: holder, createdAt: SystemClock().now(), revokedAt: nil))
        explain("\(isNew ? "made the store" : "the key is in the store") \(location.shown)")
        // The key is shown only this once. If it cannot be printed, that is an error.
        try FileHandle.standardOutput.write(contentsOf: Data((key.text + "\n").utf8))
      }
    }

    /// Of the store's own id, which is random and in its backups, and the name: a merchant that a restored store has
    /// forgotten is the same when it is made again, and so are the numbers of its orders at their providers.
    static func newMerchant(_ name: String, in store: String) -> MerchantID {
      MerchantID("mer_" + Numbering.sha256.order(MerchantID(store), name).text.dropFirst().prefix(16))
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the keys, by the part that is not secret.")
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        for key in try await store.location().openExisting().directory.keys() {
          let kind =
            switch key.holder {
            case .merchant: "merchant"
            case .operator: "operator"
            }
          let state = key.revokedAt.map { "revoked \($0.rfc3339)" } ?? "valid"
          announce("\(key.id)\t\(kind)\t\(key.holder.name)\t\(key.createdAt.rfc3339)\t\(state)")
        }
      }
    }
  }

  struct Revoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Revoke a key.", discussion: "Running servers refuse it within five seconds.")
    @Argument(help: "The key's first 19 characters, as `keys list` shows them, or the whole key.")
    var key: String
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        let directory = try store.location().openExisting().directory
        guard try await directory.revoke(String(key.prefix(19)), at: SystemClock().now()) else {
          throw SetupError("There is no such key that is not revoked. `payonce keys list` shows them all.")
        }
      }
    }
  }
}
