import FoundationEssentials

/// The bank's clock: milliseconds since 1970 inside, RFC 3339 outside.
enum BankTime {
  static func now() -> Int64 { Int64((Date().timeIntervalSince1970 * 1000).rounded()) }

  static func text(_ milliseconds: Int64) -> String {
    let date = Date(timeIntervalSince1970: Double(milliseconds / 1000))
    let fraction = String(milliseconds % 1000 + 1000).dropFirst()
    return "\(date.formatted(.iso8601).dropLast())." + fraction + "Z"
  }

  static func milliseconds(_ text: String) -> Int64? {
    for style in [Date.ISO8601FormatStyle(includingFractionalSeconds: true), Date.ISO8601FormatStyle()] {
      if let date = try? style.parse(text) { return Int64((date.timeIntervalSince1970 * 1000).rounded()) }
    }
    return nil
  }
}
