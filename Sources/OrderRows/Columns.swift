import PaymentCore

/// The tables in which orders are kept.
package enum OrderTable: Int, CaseIterable, Sendable { case orders, payments, refunds, cases, events }

/// The columns of a table: those that never change after the insert, and those that do. A store has more of its own.
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
  /// How many of the fixed columns are the key.
  package let keys: Int
  /// All of them, for a statement.
  package let list: String

  package var all: [Name] { fixed + changing }
  package var key: ArraySlice<Name> { fixed.prefix(keys) }

  private init(_ table: OrderTable, keys: Int, fixed: String, changing: String) {
    self.table = table
    self.keys = keys
    self.fixed = Name.list(fixed)
    self.changing = Name.list(changing)
    list = (self.fixed + self.changing).map(\.text).joined(separator: ", ")
  }

  package static func of(_ table: OrderTable) -> Columns { byTable[table.rawValue] }

  private static let byTable = [orders, payments, refunds, cases, events]

  private static let calls = """
    next_at#, call_kind, call_number#, call_asked_at#, call_until#, calls_made#, step#, first_sent_call#, \
    first_sent_at#, last_call_kind, last_call_at#, last_call_finding, answered_ask_at#, moving_until#
    """

  package static let orders = Columns(
    .orders, keys: 1,
    fixed: """
      id, merchant, reference, amount#, currency, description, expires_in#, late_payment, return_url, cancel_url,
      metadata, checkout_secret%, created_at#
      """,
    changing: """
      expires_at#, status, close_reason, paid_at#, closed_at#, updated_at#, version#, sequence#, duplicates_prevented#,
      refused_keys%, payment_count#, refund_count#, case_count#, wake_at#
      """)

  package static let payments = Columns(
    .payments, keys: 2,
    fixed: "order_id, ordinal#, key, provider, method, asked_method, amount#, currency, created_at#, expires_at#",
    changing: """
      status, surplus, amount_received#, currency_received, captured_at#, unknown_since#, action, action_value, failure_code,
      failure_message, provider_reference, close_requested_at#, watch_until#, updated_at#, \(calls)
      """)

  package static let refunds = Columns(
    .refunds, keys: 2,
    fixed: "order_id, ordinal#, payment#, key, currency, asked#, cause, reason, created_at#",
    changing: """
      amount#, status, unknown_since#, failure_code, failure_message, provider_reference, updated_at#, \(calls)
      """)

  package static let cases = Columns(
    .cases, keys: 2,
    fixed: "order_id, ordinal#, reason, payment#, refund#, provider, amount#, currency, note, opened_at#",
    changing: "resolved_at#, choice")

  package static let events = Columns(
    .events, keys: 2, fixed: "order_id, sequence#, merchant, type, at#, data", changing: "")
}

extension Order.Status? {
  /// Narrows a list down to the orders of this status, if there is one. An index knows those under way, who may be few
  /// among millions; it is used where its own condition is said.
  package var condition: String {
    switch self {
    case nil: ""
    case .open?, .closing?: "AND status IN ('open', 'closing') AND status = '\(self!.rawValue)'"
    case .paid?, .closed?: "AND status = '\(self!.rawValue)'"
    }
  }
}
