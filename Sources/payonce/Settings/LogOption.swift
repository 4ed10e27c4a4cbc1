import ArgumentParser
import Logging

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
