package import Hummingbird
package import PaymentCore

extension Request {
  /// The first query parameter of this name. An empty one counts as absent. The text may be anything: compare it as
  /// bytes.
  package func queryText(_ name: String) -> String? { FormFields(query: uri.query)[name] }

  /// A query parameter as an integer; `nil` when it is absent or empty.
  /// - Throws: `invalid_request` when it is no integer, or outside of the range.
  package func queryInteger(_ name: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64? {
    guard let text = queryText(name) else { return nil }
    guard let value = Int64(text), range.contains(value) else {
      let message = "must be an integer, \(range.lowerBound) to \(range.upperBound)"
      throw Refusal(
        .invalidRequest, "A query parameter is wrong.", errors: [.init(field: name, message: message)])
    }
    return value
  }

  /// Whether the query names this parameter, with or without a value.
  package func hasQuery(_ name: String) -> Bool { queryNames.contains { $0.elementsEqual(name.utf8) } }

  /// The names as they are written. Nobody has a reason to escape one of ours, so escapes are not decoded.
  private var queryNames: [Substring.UTF8View] {
    (uri.query ?? "")[...].utf8.split(separator: UInt8(ascii: "&")).map { $0.prefix { $0 != UInt8(ascii: "=") } }
  }

  /// The refusal of a query that names an unknown parameter, or a known one twice; `nil` when nothing is wrong.
  func refusal(ofQueryBeyond known: [String]) -> Refusal? {
    var errors: [Refusal.FieldError] = []
    var seen: [String] = []
    for name in queryNames {
      let complaint: String
      if let name = known.first(where: { $0.utf8.elementsEqual(name) }) {
        guard seen.contains(name) else {
          seen.append(name)
          continue
        }
        complaint = "must be there once"
      } else {
        complaint =
          "is not a parameter of this call"
          + (known.isEmpty ? ", which has none" : "; there are: " + known.joined(separator: ", "))
      }
      errors.append(.init(field: String(decoding: name.prefix(80), as: UTF8.self), message: complaint))
      // Ten errors are enough to see what is meant, and keep the answer small.
      if errors.count == 10 { break }
    }
    guard !errors.isEmpty else { return nil }
    return Refusal(.invalidRequest, "The query of the address has parameters that are wrong.", errors: errors)
  }
}
