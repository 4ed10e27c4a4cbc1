package import Mustache

extension MustacheTemplate {
  /// Parses a template that is compiled in. One that does not parse stops the program.
  package init(page bytes: [UInt8]) {
    // The first test that asks for the page finds such a template.
    do { try self.init(string: String(decoding: bytes, as: UTF8.self)) } catch {
      preconditionFailure("a page's template does not parse: \(error)")
    }
  }

  /// Renders the page. Values that are `nil` are dropped first: the library would render an optional inside `Any` as a
  /// value.
  package func fill(_ values: [String: Any?]) -> String { render(values.compactMapValues { $0 }) }
}
