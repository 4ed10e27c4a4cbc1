import ArgumentParser
import Contract
import Foundation
import PaymentCore
import PaymentEngine

struct OriginsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "origins", abstract: "Say which origins' pages may use and frame a merchant's checkout.",
    discussion: """
      A shop that pays on a page of its own, or frames the checkout page, names the page's origin here, exactly: \
      https://shop.example is neither http://shop.example nor https://www.shop.example. It works at once.
      """,
    subcommands: [Allow.self, Remove.self, List.self])

  struct Options: ParsableArguments {
    @Option(help: "The merchant, by name, as `keys list` shows it.")
    var merchant: String
    @Argument(help: "The origin, such as https://shop.example.")
    var origin: String
    @OptionGroup var store: StoreOption

    func set(allowed: Bool) async throws {
      guard let origin = Self.exact(origin) else {
        throw SetupError(
          "An origin is https:// or http://, a host, and a port if it is not the usual one, such as "
            + "https://shop.example. It is: \(origin)")
      }
      let directory = try store.location().openExisting().directory
      let known = try await MerchantsCommand.merchant(named: merchant, directory)
      guard allowed || known.origins.contains(origin) else {
        throw SetupError("This origin was not allowed. `payonce origins list` shows those that are.")
      }
      try await directory.setOrigin(origin, of: known.id, allowed: allowed)
      announce("\(origin) is \(allowed ? "allowed" : "no longer allowed") for \(known.name)")
      if allowed, origin.contains("[") {
        announce("Browsers let no page be framed by an address of IPv6; give it a name for that.")
      }
    }

    /// The origin as browsers send it: in small letters, without a default port; `nil` when the text has a path, or is
    /// no address.
    static func exact(_ text: String) -> String? {
      guard text.utf8.count <= 255,
        text.utf8.allSatisfy({
          UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 || "0123456789-.:/[]_".utf8.contains($0)
        })
      else { return nil }
      return WebAddress(text)?.origin
    }
  }

  struct Allow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Allow an origin.")
    @OptionGroup var options: Options
    func run() async throws { try await reporting { try await options.set(allowed: true) } }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Allow an origin no longer.")
    @OptionGroup var options: Options
    func run() async throws { try await reporting { try await options.set(allowed: false) } }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the origins that are allowed, by merchant.")
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        for merchant in try await store.location().openExisting().directory.merchants() {
          for origin in merchant.origins { announce("\(merchant.name)\t\(origin)") }
        }
      }
    }
  }
}
