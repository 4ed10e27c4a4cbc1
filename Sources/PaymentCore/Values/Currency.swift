/// An ISO 4217 currency with the exponent of its minor unit: 2 for CNY (fen), 0 for JPY, 3 for KWD (fils).
package struct Currency: Hashable, Sendable {
  package let code: String
  package let exponent: Int

  /// The currency of an ISO 4217 alphabetic code in capitals, or `nil` when there is no such active currency.
  package init?(code: String) {
    // As text the Kelvin sign equals K.
    guard code.utf8.count == 3, let exponent = Self.exponents[code] else { return nil }
    self.code = code
    self.exponent = exponent
  }

  /// Active ISO 4217 codes of currencies in circulation (list one of the standard, without metals, bond units and
  /// testing codes) by exponent.
  private static let exponents: [String: Int] = {
    let byExponent: [(Int, String)] = [
      (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"),
      (
        2,
        """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP \
        CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR \
        IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN \
        NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
        """
      ),
      (3, "BHD IQD JOD KWD LYD OMR TND"),
    ]
    var table: [String: Int] = [:]
    for (exponent, codes) in byExponent {
      for code in codes.split(separator: " ") { table[String(code)] = exponent }
    }
    return table
  }()
}
