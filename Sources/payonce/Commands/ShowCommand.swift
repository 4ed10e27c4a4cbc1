import ArgumentParser
import Contract
import Foundation
import OrderRows
import PaymentCore
import PaymentEngine

struct ShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show all that is stored of an order, as JSON.",
    discussion: """
      Shown is what stands in the store, field by field, with every call to a provider: also of an order that this release \
      cannot read. docs/reference/order-row.proto says what the fields are. Two secrets are left out unless they are asked \
      for: who has the one may pay the order, and who has the other may pay at the provider.
      """)

  @Argument(
    help: """
      An order, or a payment, refund, case or event of it, by its id; or it by its number, or a payment's, at its provider; with \
      --merchant the shop's own number.
      """)
  var order: String
  @Option(help: "The merchant, by name, whose own number it is.")
  var merchant: String?
  @Flag(help: "Show the secrets, too.")
  var secrets = false
  @OptionGroup var store: StoreOption

  func run() async throws {
    try await reporting {
      let opened = try store.location().openExisting()
      let name = try await name(opened)
      guard let found = try await opened.stored.stored(name) else {
        guard let archived = try await opened.reading.archived(name) else {
          throw SetupError("There is no such order in this store: \(order)")
        }
        throw SetupError(
          "\(archived.id.text) is \(archived.status.rawValue), and was moved into archive \(archived.archive) at "
            + "\(archived.archivedAt.rfc3339). `payonce archive list` names its file, and `payonce archive restore` brings "
            + "the order back.")
      }
      var writer = RecordWriter(showsSecrets: secrets, indent: "  ")
      writer.record(found.record)
      announce(writer.text)
    }
  }

  private func name(_ opened: OpenedStore) async throws -> OrderName {
    guard let merchant else {
      // An order's own number is what those of its payments begin with.
      let number = PaymentNumber(text: order) ?? PaymentNumber(text: order + "01")
      return try number.map { .number($0.order) } ?? .id(try OrderID(named: order))
    }
    return .number(
      Numbering.sha256.order(try await MerchantsCommand.merchant(named: merchant, opened.directory).id, order))
  }
}

extension OrderID {
  /// - Parameter text: the id of an order, or of something in it.
  /// - Throws: `SetupError` where it is none.
  init(named text: String) throws {
    let id =
      OrderID(text: text) ?? PaymentID(text: text)?.order ?? RefundID(text: text)?.order ?? CaseID(text: text)?.order
      ?? EventID(text: text)?.order
    guard let id else {
      throw SetupError("This is no id of PayOnce's: \(text). For a number of the shop's say --merchant, too.")
    }
    self = id
  }
}

/// What stands in a record as JSON.
struct RecordWriter {
  let showsSecrets: Bool
  /// Of each level; `nil` for one line.
  let indent: String?
  private var bytes: [UInt8] = []
  private var depth = 0

  init(showsSecrets: Bool, indent: String? = nil) {
    self.showsSecrets = showsSecrets
    self.indent = indent
  }

  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Fields that let somebody pay.
  static let secrets: Set<String> = ["checkout_secret", "client_secret"]

  mutating func record(_ entries: [StateEntry]) {
    let shown = entries.filter { showsSecrets || !Self.secrets.contains($0.name) }
    list(shown, "{", "}") { writer, entry in
      writer.quote(entry.name)
      writer.append(writer.indent == nil ? ":" : ": ")
      // What is not understood may hold one of them.
      if case .bytes(let bytes) = entry.value, !writer.showsSecrets, !Self.known.contains(entry.name) {
        writer.quote("\(bytes.count) bytes")
      } else {
        writer.value(entry.value)
      }
    }
  }

  /// The bytes that are no secret.
  private static let known: Set<String> = ["refused_keys"]

  /// Writes a text so that it does nothing to a terminal.
  private mutating func quote(_ text: String) {
    var quoted: [UInt8] = []
    Fields.quote(text, into: &quoted)
    for scalar in String(decoding: quoted, as: UTF8.self).unicodeScalars {
      if scalar.isHarmless {
        append(String(scalar))
      } else {
        append("\\u" + String(format: "%04x", scalar.value))
      }
    }
  }

  private mutating func value(_ value: StateValue) {
    switch value {
    case .record(let entries): record(entries)
    case .list(let records): list(records, "[", "]") { $0.record($1) }
    case .integer(let integer): append("\(integer)")
    case .null: append("null")
    case .fields(let fields): append(fields.text)
    case .instant, .text, .bytes: quote(value.plainText)
    }
  }

  private mutating func list<Item>(
    _ items: [Item], _ open: String, _ close: String, _ write: (inout RecordWriter, Item) -> Void
  ) {
    append(open)
    depth += 1
    for (index, item) in items.enumerated() {
      if index > 0 { append(",") }
      breakLine()
      write(&self, item)
    }
    depth -= 1
    if !items.isEmpty { breakLine() }
    append(close)
  }

  private mutating func breakLine() { if let indent { append("\n" + String(repeating: indent, count: depth)) } }

  private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}

extension StateValue {
  /// In one cell of a table.
  var plainText: String {
    switch self {
    case .null, .record, .list: ""
    case .integer(let value): "\(value)"
    case .instant(let instant): instant.rfc3339
    case .text(let text): text
    case .fields(let fields): fields.text
    case .bytes(let bytes): bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
  }
}
