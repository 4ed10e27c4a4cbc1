import ArgumentParser
import PaymentCore
import PaymentEngine

struct MerchantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merchants", abstract: "List the merchants, and say what their buyers are told they are called.",
    subcommands: [List.self, Set.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the merchants: name, and the name that buyers see.")
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        for merchant in try await store.location().openExisting().directory.merchants() {
          announce("\(merchant.name)\t\(merchant.shownName)")
        }
      }
    }
  }

  struct Set: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say what a merchant's buyers are told it is called.",
      discussion: "The name by which it is found stays what it is. Pages show the other one at once.")
    @Option(help: "The merchant, by name, as `merchants list` shows it.")
    var merchant: String
    @Option(help: "What buyers see, such as \"Little Tea Shop\"; empty for the name itself.")
    var displayName: String
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        if !displayName.isEmpty { try MerchantsCommand.check(name: displayName) }
        let directory = try store.location().openExisting().directory
        let known = try await MerchantsCommand.merchant(named: merchant, directory)
        try await directory.setDisplayName(displayName.isEmpty ? nil : displayName, of: known.id)
        announce("buyers of \(known.name) see \(displayName.isEmpty ? known.name : displayName)")
      }
    }
  }

  static func merchant(named name: String, _ directory: any Directory) async throws -> Merchant {
    guard let known = try await directory.merchants().first(where: { $0.name.isExactly(name) }) else {
      throw SetupError("There is no merchant of this name. `payonce keys create --merchant NAME` makes one.")
    }
    return known
  }

  /// Names stand on buyers' pages, in lists and in logs.
  static func check(name: String) throws {
    guard (1...80).contains(name.unicodeScalars.count) else {
      throw SetupError("A name is 1 to 80 characters long. This one has \(name.unicodeScalars.count).")
    }
    guard name.unicodeScalars.allSatisfy(\.isHarmless) else {
      throw SetupError("A name has no control characters, and none that turn the direction of the text around it.")
    }
  }
}
