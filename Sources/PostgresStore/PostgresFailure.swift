import OrderRows
import PaymentEngine

/// Why a round trip to the server did not do what it should.
enum PostgresFailure: Error {
  /// The server refused a statement, on a connection that lives: nothing of its transaction counts.
  case statement(code: String, message: String)
  /// A row does not hold what the schema promises.
  case unreadable(UnreadableRow)
  /// What was to be written breaks an invariant. Nothing of it was sent.
  case impossible
  /// The connection is gone or does not answer. What was sent may have been done.
  case lost(String)

  /// - Parameters:
  ///   - code: the SQLSTATE; `nil` when the failure is the connection's own.
  ///   - message: the primary message, which names no values.
  init(code: String?, message: String) {
    let text = message.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    switch code {
    // It is shutting down, starting, or not the primary any more; or it does not know whether it committed.
    case "57P01", "57P02", "57P03", "40003", "25006": self = .lost("\(code ?? ""): \(text)")
    case let code? where code.hasPrefix("08"): self = .lost("\(code): \(text)")
    case let code?: self = .statement(code: code, message: text)
    case nil: self = .lost(text)
    }
  }

  /// - Parameter error: thrown by whoever read a row.
  init(reading error: any Error) {
    self = .unreadable(error as? UnreadableRow ?? UnreadableRow(table: "\(type(of: error))"))
  }

  /// What it means as long as nothing can have been committed.
  var fault: Fault {
    switch self {
    // Serialization, deadlock, a lock that was not had, a value that cannot be, and the guards of the schema:
    // decided again, alone if need be, it shows who is at fault.
    case .statement(let code, _) where ["40001", "40P01", "55P03"].contains(code): .conflict
    case .statement(let code, _) where code.hasPrefix("22") || code.hasPrefix("23"): .conflict
    case .statement(let code, let message): .unavailable("PostgreSQL \(code): \(message)")
    case .unreadable(let row): row.fault
    case .impossible: .conflict
    case .lost(let message): .unavailable("PostgreSQL: \(message)")
    }
  }

  /// How a statement says that it did not find the rows that it should change.
  static let divisionByZero = "22012"
}
