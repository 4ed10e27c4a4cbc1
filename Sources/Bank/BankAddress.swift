import FoundationEssentials

/// Checks web addresses before the bank calls them or sends a browser there: http or https only, which no browser runs
/// as a script, and with a port that the network library can use (it stops the program for others).
enum BankAddress {
  static func isWeb(_ text: String) -> Bool {
    guard text.utf8.count <= 2048, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), let url = URL(string: text),
      let scheme = url.scheme?.lowercased(), scheme == "http" || scheme == "https", let host = url.host, !host.isEmpty,
      url.user == nil, url.password == nil
    else { return false }
    return url.port.map { (1...65_535).contains($0) } ?? true
  }
}
