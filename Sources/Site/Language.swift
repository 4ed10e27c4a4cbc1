import HTTPTypes
package import Hummingbird
package import PaymentCore

/// The languages of the buyer's pages.
package enum Language: String, CaseIterable, Sendable {
  case english = "en"
  case chinese = "zh"

  /// The one that was chosen on a page, now or before, else the browser's first that we have, else English.
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

  /// Keeps a choice beyond the page on which it was made: the way back from a bank does not carry it.
  package static func keep(_ request: Request, in response: inout Response) {
    guard let chosen = chosen(request) else { return }
    response.setCookie(
      Cookie(name: cookie, value: chosen.rawValue, maxAge: 30 * 86_400, path: "/", httpOnly: true, sameSite: .lax))
  }

  /// `q=0.8` in thousandths; 1000 when it is not given.
  private static func weight(_ parameters: some Sequence<[UInt8]>) -> Int {
    for parameter in parameters where parameter.starts(with: "q=".utf8) {
      let digits = parameter.dropFirst(2).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        .map { String(decoding: $0.prefix(20), as: UTF8.self) }
      // A header may hold any number.
      let whole = min(max(digits.first.flatMap { Int($0) } ?? 0, 0), 1)
      let fraction = digits.count > 1 ? String(digits[1].unicodeScalars.prefix(3)) : ""
      let thousandths = Int(fraction + String(repeating: "0", count: 3 - fraction.unicodeScalars.count)) ?? 0
      return whole * 1000 + max(thousandths, 0)
    }
    return 1000
  }

  /// The text in this language.
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

  /// What stands before an amount instead of the currency's code, in English and in Chinese. Source: Unicode CLDR 48; a
  /// test asks the browser's own copy.
  private static let symbols: [String: (String, String)] = [
    "AUD": ("A$", "AU$"), "BRL": ("R$", "R$"), "CAD": ("CA$", "CA$"), "CNY": ("CN¥", "¥"), "EUR": ("€", "€"),
    "GBP": ("£", "£"), "HKD": ("HK$", "HK$"), "ILS": ("₪", "₪"), "INR": ("₹", "₹"), "JPY": ("¥", "JP¥"),
    "KRW": ("₩", "₩"), "MXN": ("MX$", "MX$"), "NZD": ("NZ$", "NZ$"), "TWD": ("NT$", "NT$"), "USD": ("$", "US$"),
    "VND": ("₫", "₫"),
  ]

  /// Between two sentences.
  package var space: String { say(" ", "") }
  /// As HTML names it.
  package var tag: String { say("en", "zh-CN") }
  package var other: Language { self == .english ? .chinese : .english }
  /// In itself.
  package var name: String { say("English", "中文") }
}
