/// Why a provider did not take the money. It is stored with the order and told to others, so of what a provider says
/// only the beginning is kept: 100 bytes of the code, 1,000 of the message.
package struct Failure: Hashable, Sendable {
  package let code: String
  package let message: String
  package init(code: String, message: String) {
    self.code = code.beginning(100)
    self.message = message.beginning(1000)
  }
}

extension String {
  /// At most so many bytes, without the scalar that is cut by that.
  fileprivate func beginning(_ count: Int) -> String {
    guard utf8.count > count else { return self }
    var end = utf8.index(utf8.startIndex, offsetBy: count)
    while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
    return String(unicodeScalars[..<end])
  }
}
