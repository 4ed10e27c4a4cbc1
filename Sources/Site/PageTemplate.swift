package import Mustache

extension MustacheTemplate {
  /// A page that is compiled in.
  package init(page bytes: [UInt8]) {
    // A template that does not parse is found by the first test that asks for its page.
    do { try self.init(string: String(decoding: bytes, as: UTF8.self)) } catch {
      preconditionFailure("a page's template does not parse: \(error)")
    }
  }

  /// The page with these values. What is `nil` is left out: the library takes an optional in an `Any` for a value.
  package func fill(_ values: [String: Any?]) -> String { render(values.compactMapValues { $0 }) }
}
