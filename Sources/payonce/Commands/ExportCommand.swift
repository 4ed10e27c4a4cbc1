import ArgumentParser
import Foundation
import OrderRows
import PaymentCore
import PaymentEngine

struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write all that is stored of all orders, for other programs.",
    discussion: """
      One JSON object a line and order, oldest first, as `payonce show` shows it; or, with --csv, a table of the orders, or of \
      what is in them: payments, refunds, cases or events. It may run beside the server. What lets somebody pay is left out.
      """)

  enum Table: String, CaseIterable, ExpressibleByArgument { case orders, payments, refunds, cases, events }

  @Option(help: "A table instead of JSON: orders, payments, refunds, cases or events.")
  var csv: Table?
  @OptionGroup var store: StoreOption

  /// How many orders are read at once.
  private static let page = 500

  func run() async throws {
    try await reporting {
      let stored = try store.location().openExisting().stored
      let table = csv.map { RecordTable(of: $0) }
      if let table { announce(table.header) }
      var last: OrderID?
      var spoilt = 0
      while true {
        let orders = try await stored.stored(after: last, limit: Self.page)
        guard !orders.isEmpty else { break }
        last = orders.last?.id
        spoilt += orders.count { $0.order == nil }
        let lines = orders.flatMap { order -> [String] in
          if let table { return table.lines(of: order.record) }
          var writer = RecordWriter(showsSecrets: false)
          writer.record(order.record)
          return [writer.text]
        }
        if !lines.isEmpty { announce(lines.joined(separator: "\n")) }
      }
      guard spoilt == 0 else {
        explain(
          "\(spoilt) orders cannot be read by this release, and are here as far as they can: `payonce show` says more")
        throw ExitCode(1)
      }
    }
  }
}

/// What is of one kind in many orders, as the lines of a table.
struct RecordTable {
  private let table: ExportCommand.Table
  private let columns: [String]

  init(of table: ExportCommand.Table) {
    self.table = table
    let parent = ["order", "merchant", "reference"]
    switch table {
    case .orders: columns = StoredOrder.columns
    case .payments: columns = parent + ["id"] + StateEntry.columns(PaymentField.self)
    case .refunds: columns = parent + ["id"] + StateEntry.columns(RefundField.self)
    case .cases: columns = parent + ["id"] + StateEntry.columns(CaseField.self)
    case .events: columns = parent + ["id", "sequence", "type", "at", "data"]
    }
  }

  var header: String { line(columns) }

  func lines(of order: [StateEntry]) -> [String] {
    guard table != .orders else { return [line(order)] }
    let parents = order.filter { ["id", "merchant", "reference"].contains($0.name) }
      .map { $0.name == "id" ? $0.renamed("order") : $0 }
    guard case .list(let parts)? = order.first(where: { $0.name == table.rawValue })?.value else { return [] }
    return parts.map { line(parents + $0) }
  }

  private func line(_ entries: [StateEntry]) -> String {
    var cells: [String: String] = [:]
    for entry in entries {
      if case .record(let inner) = entry.value {
        for item in inner { cells["\(entry.name)_\(item.name)"] = item.value.plainText }
      } else {
        cells[entry.name] = entry.value.plainText
      }
    }
    return line(columns.map { RecordWriter.secrets.contains($0) ? "" : cells[$0] ?? "" })
  }

  /// As RFC 4180 has it, with a new line alone at the end.
  private func line(_ cells: [String]) -> String {
    cells.map { cell in
      guard cell.utf8.contains(where: { ",\"\r\n".utf8.contains($0) }) else { return cell }
      // By bytes: with a combining mark behind it a quotation mark is another character, and a quotation mark all the same.
      let quoted = cell.utf8.flatMap { $0 == UInt8(ascii: "\"") ? [$0, $0] : [$0] }
      return "\"\(String(decoding: quoted, as: UTF8.self))\""
    }.joined(separator: ",")
  }
}
