import Foundation
import Logging

/// Looks settings up. The command line wins over the environment; an empty variable counts as not set.
struct Setting {
  enum Name: String, CaseIterable {
    case store, listen, lanes, sandbox, bank, books, demo, merchant, `operator`
    case publicURL = "public_url"
    case bankListen = "bank_listen"
    case bankSecret = "bank_secret"
    case bankKey = "bank_key"
    case callTimeout = "call_timeout"
    case logLevel = "log_level"

    /// The variable of the environment.
    var variable: String { "PAYONCE_" + rawValue.uppercased() }
    /// The option of the command line.
    var flag: String { "--" + rawValue.replacing("_", with: "-") }
  }
  private static let environment = ProcessInfo.processInfo.environment

  static func value(_ option: String?, _ name: Name) -> String? {
    option ?? environment[name.variable].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The option or the variable that gave the value, for complaints.
  static func source(_ option: String?, _ name: Name) -> String {
    option == nil && value(nil, name) != nil ? name.variable : name.flag
  }

  /// Warns of variables that look like settings and are none.
  static func warnOfOthers(_ logger: Logger) {
    let known = Set(Name.allCases.map(\.variable))
    for name in environment.keys.sorted() where name.hasPrefix("PAYONCE_") && !known.contains(name) {
      logger.warning("\(name) is in the environment and is no setting")
    }
  }
}
