/// The tables in which orders are kept, in an order in which what is referred to comes first. Each store has more of its own.
package enum OrderTable: Int, CaseIterable, Sendable {
  /// One row an order: what an index or a guard needs, and its state.
  case orders
  /// When an order is to be looked at again. Beside the order, so that a change of the order touches no index.
  case wakes
  /// The orders that are not at rest, which may be few among millions.
  case underWay
  /// What does not go on, or not by itself.
  case waiting
  /// What happened: one row an order and commit.
  case events
  /// Cases of money that came for orders which are not stored.
  case strays
  /// What is left of orders that were moved into an archive.
  case archived

  package var name: String { self == .underWay ? "under_way" : "\(self)" }

  /// Whether its rows say again, for an index, what the order says. It is no harm if one of them stands there already.
  package var isNarrow: Bool {
    switch self {
    case .wakes, .underWay, .waiting: true
    case .orders, .events, .strays, .archived: false
    }
  }
}

/// The columns of a table: those that never change after the insert, and those that do.
package struct Columns: Sendable {
  package struct Name: Sendable {
    package enum Form: Sendable { case text, integer, bytes }
    package let text: String
    package let form: Form

    /// - Parameter text: followed by `#` for an integer, by `%` for bytes.
    private init(_ text: Substring) {
      form = text.hasSuffix("#") ? .integer : text.hasSuffix("%") ? .bytes : .text
      self.text = form == .text ? String(text) : String(text.dropLast())
    }

    static func list(_ text: String) -> [Name] { text.split { ", \n".contains($0) }.map { Name($0) } }
  }
  package let table: OrderTable
  package let fixed: [Name]
  package let changing: [Name]
  package let all: [Name]
  /// By which an update finds its row.
  package let key: [Name]
  /// All of them, for a statement, each with its table.
  package let list: String

  private init(_ table: OrderTable, key: String = "", fixed: String, changing: String = "") {
    self.table = table
    self.key = Name.list(key)
    self.fixed = Name.list(fixed)
    self.changing = Name.list(changing)
    all = self.fixed + self.changing
    list = all.map { "\(table.name).\($0.text)" }.joined(separator: ", ")
  }

  package static func of(_ table: OrderTable) -> Columns { byTable[table.rawValue] }

  private static let byTable = OrderTable.allCases.map { table in
    switch table {
    case .orders: orders
    case .wakes: Columns(table, fixed: "at#, id%")
    case .underWay: Columns(table, fixed: "merchant, id%")
    case .waiting: Columns(table, fixed: "kind, since#, id%, ordinal#")
    case .events: Columns(table, fixed: "id%, sequence#, events%")
    case .strays: strays
    case .archived: archived
    }
  }

  /// An update finds what it has read, by the version.
  package static let orders = Columns(
    .orders, key: "id%, version#", fixed: "id%, number%, merchant, reference, amount#, currency",
    changing: "status, live_ordinal#, kept_ordinal#, version#, state%")

  /// Found by its id or by its number, as it was before. The amount is what was received.
  package static let archived = Columns(
    .archived,
    fixed: "id%, number%, merchant, status, kept_ordinal#, provider, amount#, currency, archived_at#, archive#")

  /// An update finds what is open.
  package static let strays = Columns(
    .strays, key: "id%, ordinal#, is_open#", fixed: "id%, ordinal#, opened_at#", changing: "is_open#, state%")
}
