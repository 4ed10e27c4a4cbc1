package import PaymentCore

/// Whoever moves the money. An adapter encodes, sends, verifies and decodes; it decides nothing.
package protocol Provider: Sendable {
  var name: ProviderName { get }
  var sheet: CapabilitySheet { get }

  /// Makes a call and says what it proved. It never throws: doubt is evidence, too. It ends early when its task is
  /// cancelled.
  func perform(_ call: Call) async -> Evidence

  /// Verifies and reads what the provider sent by itself.
  func read(_ notice: Notice, now: Instant) -> NoticeReading
}

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
