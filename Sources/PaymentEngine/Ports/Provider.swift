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
