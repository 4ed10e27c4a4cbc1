import FoundationEssentials

/// What the bank takes for a web address, before it calls it or sends a browser there: nothing that a browser would run,
/// and no port that the network stack stops the program for.
enum BankAddress {
  static func isWeb(_ text: String) -> Bool {
    guard text.utf8.count <= 2048, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), let url = URL(string: text),
      let scheme = url.scheme?.lowercased(), scheme == "http" || scheme == "https", let host = url.host, !host.isEmpty,
      url.user == nil, url.password == nil
    else { return false }
    return url.port.map { (1...65_535).contains($0) } ?? true
  }
}
