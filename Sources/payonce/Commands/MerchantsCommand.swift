import ArgumentParser
import Foundation
import PaymentCore
import PaymentEngine

struct MerchantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merchants", abstract: "List the merchants, and say what their buyers are told they are called.",
    subcommands: [List.self, Set.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the merchants: name, what buyers read, whether they see a mark.")
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        for merchant in try await store.location().openExisting().directory.merchants() {
          announce("\(merchant.name)\t\(merchant.shownName)\t\(merchant.hasMark ? "mark" : "-")")
        }
      }
    }
  }

  struct Set: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say what a merchant's buyers see: its name, and a mark with it.",
      discussion: "The name by which it is found stays what it is. Pages show what is set here at once.")
    @Option(help: "The merchant, by name, as `merchants list` shows it.")
    var merchant: String
    @Option(help: "What buyers see, such as \"Little Tea Shop\"; empty for the name itself.")
    var displayName: String?
    @Option(help: "The file of a small picture that stands with the name: PNG, JPEG or WebP; empty for none.")
    var mark: String?
    @OptionGroup var store: StoreOption

    func validate() throws {
      if displayName == nil, mark == nil { throw ValidationError("Say --display-name, --mark, or both.") }
    }

    func run() async throws {
      try await reporting {
        if let displayName, !displayName.isEmpty { try MerchantsCommand.check(name: displayName) }
        let picture = try mark.flatMap { $0.isEmpty ? nil : try MerchantsCommand.mark(inFile: $0) }
        let directory = try store.location().openExisting().directory
        let known = try await MerchantsCommand.merchant(named: merchant, directory)
        if let displayName {
          try await directory.setDisplayName(displayName.isEmpty ? nil : displayName, of: known.id)
        }
        if mark != nil { try await directory.setMark(picture, of: known.id) }
        let now = try await MerchantsCommand.merchant(named: merchant, directory)
        announce("buyers of \(now.name) see \(now.shownName)\(now.hasMark ? ", with its mark" : "")")
      }
    }
  }

  static func merchant(named name: String, _ directory: any Directory) async throws -> Merchant {
    guard let known = try await directory.merchants().first(where: { $0.name.isExactly(name) }) else {
      throw SetupError(
        "There is no merchant \(name.prefix(64)). `payonce merchants list` shows them, and `payonce keys create --merchant NAME` makes one."
      )
    }
    return known
  }

  private static func mark(inFile path: String) throws -> Mark {
    // One byte more than allowed is enough to see that the file is too large.
    guard let bytes = try? FileHandle(forReadingAtPath: path)?.read(upToCount: Mark.limit + 1) else {
      throw SetupError("The file \(path) cannot be read, or is empty.")
    }
    guard let mark = Mark(Array(bytes)) else {
      throw SetupError("A mark is a PNG, JPEG or WebP of at most \(Mark.limit / 1024) kB. \(path) is not.")
    }
    return mark
  }

  /// Checks a name, which will stand on buyers' pages, in lists and in logs.
  /// - Throws: `SetupError` unless it has 1 to 80 Unicode scalars, all of them harmless.
  static func check(name: String) throws {
    guard (1...80).contains(name.unicodeScalars.count) else {
      throw SetupError("A name is 1 to 80 characters long. This one has \(name.unicodeScalars.count).")
    }
    guard name.unicodeScalars.allSatisfy(\.isHarmless) else {
      throw SetupError("A name has no control characters, and none that turn the direction of the text around it.")
    }
  }
}
