/// Why a provider did not take the money.
package struct Failure: Hashable, Sendable {
  package let code: String
  package let message: String
  package init(code: String, message: String) {
    self.code = code
    self.message = message
  }
}
