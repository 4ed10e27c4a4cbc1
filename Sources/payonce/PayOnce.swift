import ArgumentParser
import CMalloc
import Foundation

@main
struct PayOnce: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "payonce",
    abstract: "A self-hosted payment gate: an order keeps at most one payment.",
    discussion: """
      Try it:
        payonce serve                          the gate, a sandbox bank and a demo shop on this machine
        payonce keys create --merchant tea     an API key for your shop

      Every option of serve can also be set by the environment: --public-url is PAYONCE_PUBLIC_URL, and so on. Options win.
      """,
    version: "0.1.0",
    subcommands: [
      ServeCommand.self, BankCommand.self, KeysCommand.self, MerchantsCommand.self, OriginsCommand.self,
      DoctorCommand.self, StuckCommand.self, CasesCommand.self, ShowCommand.self, ExportCommand.self,
      ArchiveCommand.self, CopyStoreCommand.self,
      FindForgottenCommand.self,
      BenchCommand.self,
      SimulateCommand.self,
    ])
}

extension PayOnce {
  static func main() async {
    // The store holds the secrets of checkout pages. So the files that this program makes are readable by their owner
    // alone.
    umask(0o077)
    keepMemory()
    _ = Descriptors.all
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
    } catch {
      guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
      explain(withoutPasswords(fullMessage(for: error)))
      exit(withError: ExitCode.validationFailure)
    }
  }

  /// The message without arguments that may hold a password: ArgumentParser repeats what it did not understand, which
  /// may be a store's address.
  private static func withoutPasswords(_ text: String) -> String {
    CommandLine.arguments.dropFirst()
      .flatMap { $0.hasPrefix("-") ? $0.split(separator: "=", maxSplits: 1) : [$0[...]] }
      .filter { $0.contains("@") || $0.contains("password") }
      .reduce(text) { $0.replacingOccurrences(of: $1, with: "(an address)") }
  }

  /// Keeps freed memory in the process. Returning it to the system and asking for it again with every batch took a
  /// tenth of the time.
  private static func keepMemory() {
    mallopt(M_TRIM_THRESHOLD, 128 << 20)
    mallopt(M_TOP_PAD, 4 << 20)
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
  }
}

/// An error in the settings or the surroundings that keeps a command from working. The text says how to mend it.
struct SetupError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
