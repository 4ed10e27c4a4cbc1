import ArgumentParser
import Contract
import Foundation
import PaymentCore
import PaymentEngine

struct StuckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stuck", abstract: "List what does not go on, or not by itself, of all merchants, and what to do.",
    discussion: """
      A line for each, with tabs between: since when, what, its id, its order, the merchant, the shop's own number, the \
      provider, and what to do. What somebody must look at comes with an exit code of 1: every open case, and whatever has \
      been in doubt or closing for more than an hour. Until then it is asked about by itself, and the exit code is 0. \
      Of each kind the oldest 1,000 are listed.
      """)

  @Flag(help: "One JSON object, {\"data\": […]}, for programs.")
  var json = false
  @OptionGroup var store: StoreOption

  func run() async throws {
    try await reporting {
      let waiting = try await store.location().openExisting().reading.waiting(limit: Waiting.listed)
      let now = SystemClock().now()
      if json {
        var writer = JSONWriter()
        writer.object { $0.array("data") { list in for item in waiting { item.write(into: &list, at: now) } } }
        announce(String(decoding: writer.bytes, as: UTF8.self))
      } else {
        for item in waiting { announce(item.line(at: now)) }
      }
      if waiting.contains(where: { $0.needsSomebody(at: now) }) { throw ExitCode(1) }
    }
  }
}

extension Waiting {
  /// How many of each kind are looked at.
  static let listed = 1000

  /// Whether a person must act: it is a case, or has lasted for more than an hour, so that it may not end by itself.
  func needsSomebody(at now: Instant) -> Bool { kind == .openCase || now > since.advanced(by: .seconds(3600)) }

  /// The advice for the operator.
  func advice(at now: Instant) -> String {
    let provider = provider?.text ?? "its provider"
    guard needsSomebody(at: now) else { return "nothing yet: it is asked about by itself" }
    switch kind {
    case .unknownPayment:
      return
        "see whether \(provider) answers, and what it says of \(id); POST /v1/payments/\(id)/check asks it now. Do not "
        + "charge by other means"
    case .unknownRefund:
      return "see whether \(provider) answers, and what it says of \(id). Do not return the money by other means before"
    case .closingOrder:
      return
        "the close of its payment is not confirmed: see whether \(provider) answers, or is turned off at the servers"
    case .openCase: return item?.advice ?? "see it at \(provider)"
    }
  }

  /// Of money that came for an order which is not stored only its number means anything.
  private var isStored: Bool { reference != nil || item?.reason != .unknownPayment }
  private var named: String { isStored ? order.text : item?.number(in: nil)?.text ?? "-" }

  fileprivate func line(at now: Instant) -> String {
    let what = item.map { "\(kind.rawValue) \($0.reason.rawValue)" } ?? kind.rawValue
    let columns = [
      since.rfc3339, what, id, named, merchant ?? "-", reference ?? "-", provider?.text ?? "-", advice(at: now),
    ]
    return columns.line
  }

  fileprivate func write(into list: inout JSONWriter, at now: Instant) {
    list.object { writer in
      writer.string("what", kind.rawValue)
      writer.string("id", id)
      writer.string("order", isStored ? order.text : nil)
      writer.string("number", item?.number(in: nil).flatMap { isStored ? nil : $0.text })
      writer.string("merchant", merchant)
      writer.string("reference", reference)
      writer.string("provider", provider?.text)
      writer.string("reason", item?.reason.rawValue)
      writer.string("note", item?.note)
      writer.string("since", since.rfc3339)
      writer.bool("needs_somebody", needsSomebody(at: now))
      writer.string("to_do", advice(at: now))
    }
  }
}
