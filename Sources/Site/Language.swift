import HTTPTypes
package import Hummingbird
package import PaymentCore

/// The languages of the buyer's pages.
package enum Language: String, CaseIterable, Sendable {
  case english = "en"
  case chinese = "zh"

  /// The language of the query's `lang`, else of the cookie, else the one that the browser prefers among ours, else
  /// English.
  package init(_ request: Request) {
    if let chosen = Self.chosen(request) ?? Self.kept(request) {
      self = chosen
      return
    }
    var best: (language: Language, weight: Int)?
    for wish in (request.headers[.acceptLanguage] ?? "").utf8.split(separator: UInt8(ascii: ",")) {
      let parts = wish.split(separator: UInt8(ascii: ";")).map { $0.filter { $0 != UInt8(ascii: " ") } }
      let tag = (parts.first ?? []).prefix(2).map { $0 | 0x20 }
      guard let language = Self.allCases.first(where: { $0.rawValue.utf8.elementsEqual(tag) }) else { continue }
      let weight = Self.weight(parts.dropFirst())
      if weight > best?.weight ?? 0 { best = (language, weight) }
    }
    self = best?.language ?? .english
  }

  private static func chosen(_ request: Request) -> Language? {
    request.queryText("lang").flatMap { Language(exactly: $0) }
  }

  private static func kept(_ request: Request) -> Language? {
    guard let value = request.cookie(cookie) else { return nil }
    return Self.allCases.first { $0.rawValue.utf8.elementsEqual(value) }
  }

  private static let cookie = "payonce_language"

  /// Keeps the query's choice in a cookie for 30 days. The way back from a bank does not carry the query.
  package static func keep(_ request: Request, in response: inout Response) {
    guard let chosen = chosen(request) else { return }
    response.setCookie(
      Cookie(name: cookie, value: chosen.rawValue, maxAge: 30 * 86_400, path: "/", httpOnly: true, sameSite: .lax))
  }

  /// The quality of a language in thousandths: 800 for `q=0.8`, 1000 when none is given.
  private static func weight(_ parameters: some Sequence<[UInt8]>) -> Int {
    for parameter in parameters where parameter.starts(with: "q=".utf8) {
      let digits = parameter.dropFirst(2).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        .map { String(decoding: $0.prefix(20), as: UTF8.self) }
      // The header may hold any number.
      let whole = min(max(digits.first.flatMap { Int($0) } ?? 0, 0), 1)
      let fraction = digits.count > 1 ? String(digits[1].unicodeScalars.prefix(3)) : ""
      let thousandths = Int(fraction + String(repeating: "0", count: 3 - fraction.unicodeScalars.count)) ?? 0
      return whole * 1000 + max(thousandths, 0)
    }
    return 1000
  }

  package func say(_ english: String, _ chinese: String) -> String { self == .english ? english : chinese }

  /// An amount as people read it: `CN¥1,999.00` or `¥1,999.00`, `¥1,999` or `JP¥1,999`, `KWD 1.999`.
  package func amount(_ money: Money) -> String {
    let parts = money.decimalText.split(separator: ".")
    var grouped = ""
    for (index, digit) in parts[0].reversed().enumerated() {
      if index > 0, index % 3 == 0 { grouped.append(",") }
      grouped.append(digit)
    }
    let fraction = parts.count > 1 ? ".\(parts[1])" : ""
    let code = money.currency.code
    let symbol = Self.symbols[code].map { say($0.0, $0.1) } ?? code + "\u{a0}"
    return symbol + String(grouped.reversed()) + fraction
  }

  /// The symbols that replace a currency's code, in English and in Chinese. Source: Unicode CLDR 48. A test compares
  /// them with the browser's own data.
  private static let symbols: [String: (String, String)] = [
    "AUD": ("A$", "AU$"), "BRL": ("R$", "R$"), "CAD": ("CA$", "CA$"), "CNY": ("CN¥", "¥"), "EUR": ("€", "€"),
    "GBP": ("£", "£"), "HKD": ("HK$", "HK$"), "ILS": ("₪", "₪"), "INR": ("₹", "₹"), "JPY": ("¥", "JP¥"),
    "KRW": ("₩", "₩"), "MXN": ("MX$", "MX$"), "NZD": ("NZ$", "NZ$"), "TWD": ("NT$", "NT$"), "USD": ("$", "US$"),
    "VND": ("₫", "₫"),
  ]

  /// What separates two sentences: Chinese needs no blank.
  package var space: String { say(" ", "") }
  /// The value of HTML's `lang`.
  package var tag: String { say("en", "zh-CN") }
  package var other: Language { self == .english ? .chinese : .english }
  /// The language's own name for itself.
  package var name: String { say("English", "中文") }
}
