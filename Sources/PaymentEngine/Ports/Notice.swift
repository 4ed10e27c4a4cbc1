package import PaymentCore

/// A provider's inbound request as it came.
package struct Notice: Sendable {
  /// Names in lower case.
  package let headers: [String: String]
  package let body: [UInt8]
  package init(headers: [String: String], body: [UInt8]) {
    self.headers = headers
    self.body = body
  }
}

package enum NoticeReading: Hashable, Sendable {
  case evidence(Evidence)
  /// It does not prove that it comes from the provider.
  case unverified
  /// It is the provider's, and says nothing that is of use here.
  case irrelevant
}
