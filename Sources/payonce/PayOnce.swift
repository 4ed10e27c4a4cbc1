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
      DoctorCommand.self, StuckCommand.self,
      CopyStoreCommand.self,
      FindForgottenCommand.self,
      BenchCommand.self,
      SimulateCommand.self,
    ])
}

extension PayOnce {
  static func main() async {
    // The store holds the secrets of checkout pages: what this program makes is its owner's alone.
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

  /// A complaint repeats what it did not understand, which may be the address of a store.
  private static func withoutPasswords(_ text: String) -> String {
    CommandLine.arguments.dropFirst()
      .flatMap { $0.hasPrefix("-") ? $0.split(separator: "=", maxSplits: 1) : [$0[...]] }
      .filter { $0.contains("@") || $0.contains("password") }
      .reduce(text) { $0.replacingOccurrences(of: $1, with: "(an address)") }
  }

  /// Lets freed memory stay with the process instead of giving it back and asking for it again at every batch, which
  /// took a tenth of its time.
  private static func keepMemory() {
    mallopt(M_TRIM_THRESHOLD, 128 << 20)
    mallopt(M_TOP_PAD, 4 << 20)
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
  }
}

/// Something about the settings or the surroundings that keeps a command from working, and how to mend it.
struct SetupError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
