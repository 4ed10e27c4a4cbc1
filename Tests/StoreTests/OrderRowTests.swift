import Foundation
import OrderRows
import PaymentCore
import Testing

/// What other programs and later releases can rely on in the rows.
@Suite struct OrderRowTests {
  private typealias Row = OrderStateTests.Row

  /// What other programs are told of the rows is what stands in them.
  @Test func theDocumentNamesEveryField() throws {
    let document = try String(contentsOf: Self.root.appending(path: "docs/reference/order-row.proto"), encoding: .utf8)
    func block(_ head: String) -> [String] {
      let after = document.components(separatedBy: "\n\(head) {\n").dropFirst().first ?? ""
      return after.components(separatedBy: "\n}").first!.components(separatedBy: "\n").map {
        $0.trimmingCharacters(in: .whitespaces)
      }
    }
    func name(_ type: Any.Type) -> String { String("\(type)".dropLast("Field".count)) }
    var enumerations: [String: [String]] = [:]
    func enumeration<Field: StateField>(_ type: any StateWord.Type, of field: Field) -> String {
      let kind = document.type(of: field.name, in: block("message \(name(Field.self))"))
      enumerations[String(reflecting: type)] = block("enum \(kind)")
      return kind
    }
    func expect<Field: StateField>(_ type: Field.Type) {
      let lines = Field.allCases.map { field -> String in
        let (label, kind) =
          switch field.form {
          case .integer, .moment: ("optional", "int64")
          case .instant: ("optional", "sint64")
          case .text, .fields: ("optional", "string")
          case .bytes: ("optional", "bytes")
          case .message(let type): ("optional", name(type))
          case .messages(let type): ("repeated", name(type))
          case .word(let type): ("optional", enumeration(type, of: field))
          }
        return "\(label) \(kind) \(field.name) = \(field.rawValue);"
      }
      #expect(block("message \(name(type))") == lines)
    }
    expect(OrderField.self)
    expect(PaymentField.self)
    expect(RefundField.self)
    expect(CaseField.self)
    expect(StrayField.self)
    expect(CallsField.self)
    expect(EventsField.self)
    expect(EventField.self)
    expect(EventDataField.self)
    expect(FeedField.self)
    expect(SpanField.self)
    func words<Word: StateWord>(_ type: Word.Type) {
      let lines = enumerations[String(reflecting: type)] ?? []
      let endings = Word.words.enumerated().map { "\($1)".inCapitals + " = \($0);" }
      #expect(lines.count == endings.count && zip(lines, endings).allSatisfy { $0.hasSuffix("_" + $1) }, "\(type)")
    }
    words(Order.Registration.LatePayment.self)
    words(Order.CloseReason.self)
    words(Payment.Status.self)
    words(Payment.Surplus.self)
    words(Refund.Status.self)
    words(Refund.Cause.self)
    words(Case.Reason.self)
    words(Case.Choice.self)
    words(Call.Kind.self)
    words(CallState.Finding.self)
    words(Event.Kind.self)
    words(EventDataName.self)
  }

  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// What the first release wrote is read for ever, and means the same. A line is an order's columns, `null` or the bytes
  /// of texts and values in hexadecimal, and what they say.
  @Test func rowsOfEveryReleaseAreRead() throws {
    let file = Self.root.appending(path: "Tests/StoreTests/Samples/format-1.txt")
    if ProcessInfo.processInfo.environment["PAYONCE_WRITE_SAMPLES"] != nil { try Self.writeSamples(to: file) }
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    #expect(lines.count == 30)
    for line in lines {
      let parts = line.split(separator: " ", maxSplits: Columns.orders.all.count)
      var row = try Row(Self.anyOrder)
      row.cells = try zip(Columns.orders.all, parts).map { column, text in
        guard text != "null" else { return nil }
        return switch column.form {
        case .integer: .integer(try #require(Int64(text)))
        case .text: .text(String(decoding: text.hexadecimal, as: UTF8.self))
        case .bytes: .bytes(text.hexadecimal)
        }
      }
      #expect(try Order(row).encoded() == row.state)
      #expect(Self.text(try StoredOrder(row).record) == parts.last!)
    }
  }

  private static func text(_ record: [StateEntry]) -> String {
    record.map { entry in
      let value =
        switch entry.value {
        case .null: "null"
        case .integer(let value): "\(value)"
        case .instant(let instant): "\(instant.milliseconds)"
        case .text(let text): "\"\(text)\""
        case .fields(let fields): fields.text
        case .bytes(let bytes): bytes.map { String(format: "%02x", $0) }.joined()
        case .record(let record): "{\(text(record))}"
        case .list(let list): "[\(list.map(text).joined(separator: "; "))]"
        }
      return "\(entry.name)=\(value)"
    }.joined(separator: ", ")
  }

  private static var anyOrder: Order {
    var walk = OrderWalk(seed: 1, merchant: MerchantID("mer_tea"))
    _ = walk.step()
    return walk.order!
  }

  /// Only for a new encoding: what was released stays as it is.
  private static func writeSamples(to file: URL) throws {
    var lines: [String] = []
    for seed in 1...30 as ClosedRange<UInt64> {
      var walk = OrderWalk(seed: seed, merchant: MerchantID("mer_tea"))
      for _ in 0..<(seed % 25 + 1) { _ = walk.step() }
      guard let order = walk.order else { continue }
      let row = try Row(order)
      let cells = row.cells.map { cell in
        switch cell {
        case nil: "null"
        case .integer(let value)?: "\(value)"
        case .text(let text)?: Array(text.utf8).map { String(format: "%02x", $0) }.joined()
        case .bytes(let bytes)?: bytes.map { String(format: "%02x", $0) }.joined()
        }
      }
      lines.append((cells + [text(try StoredOrder(row).record)]).joined(separator: " "))
    }
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: file)
  }
}

extension String {
  /// The type that a message gives to a field.
  fileprivate func type(of field: String, in message: [String]) -> String {
    message.map { $0.split(separator: " ") }.first { $0.count > 2 && $0[2] == field }.map { String($0[1]) } ?? ""
  }

  fileprivate var inCapitals: String {
    map { $0.isUppercase ? "_\($0)" : $0.uppercased() }.joined()
  }
}

extension Substring {
  fileprivate var hexadecimal: [UInt8] {
    let digits = utf8.map { $0 < UInt8(ascii: "a") ? $0 - UInt8(ascii: "0") : $0 - UInt8(ascii: "W") }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
