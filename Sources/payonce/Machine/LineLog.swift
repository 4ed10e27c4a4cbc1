import Contract
import Foundation
import Logging

/// Logs to standard error, one line per event: time, level, message, and metadata as `name=value`, sorted by name.
struct LineLog: LogHandler {
  var logLevel: Logger.Level = .info
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var line = SystemClock().now().rfc3339
    line.append(" ")
    line.append(event.level.rawValue)
    line.append(" ")
    line.append(event.message.description)
    let own = event.metadata ?? [:]
    var fields = Array(own)
    for field in metadata where own[field.key] == nil { fields.append(field) }
    fields.sort { $0.key < $1.key }
    for (name, value) in fields {
      line.append(" ")
      line.append(name == "hb.request.id" ? "request" : name)
      line.append("=")
      line.append(Self.quoted(value.description))
    }
    LineWriter.standardError.add(line + "\n", isUrgent: event.level >= .warning)
  }

  /// The value as it is when it is one word of printable ASCII, else as a JSON string.
  private static func quoted(_ value: String) -> String {
    let isWord = !value.isEmpty && value.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") }
    guard !isWord else { return value }
    var text = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"", "\\": text += "\\\(scalar)"
      case _ where scalar.properties.generalCategory == .control:
        text += "\\u" + String(repeating: "0", count: scalar.value < 16 ? 3 : 2) + String(scalar.value, radix: 16)
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}
