import CLibPQ
import Glibc
package import PaymentEngine

/// Where the database is: a URL of libpq's, with one host or several. A password is taken from it, from PGPASSWORD or from
/// the file that PGPASSFILE names, and is never told.
package struct PostgresAddress: Sendable {
  private let url: String
  /// What is told of it.
  package let shown: String

  /// - Throws: `Fault.unavailable` with what is wrong.
  package init(url: String) throws(Fault) {
    var message: UnsafeMutablePointer<CChar>?
    guard let options = PQconninfoParse(url, &message) else {
      let text = message.map { String(cString: $0) } ?? "it cannot be read"
      PQfreemem(message)
      throw .unavailable("the address of the database is not one: \(text.filter { !$0.isNewline })")
    }
    defer { PQconninfoFree(options) }
    var values: [String: String] = [:]
    var option = options
    while let keyword = option.pointee.keyword {
      if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
      option += 1
    }
    let hosts = (values["host"] ?? values["hostaddr"] ?? "").split(separator: ",").map(String.init)
    let isLocal = hosts.allSatisfy { $0.hasPrefix("/") || $0.hasPrefix("127.") || ["localhost", "::1"].contains($0) }
    guard isLocal || values["sslmode"] != nil || getenv("PGSSLMODE") != nil else {
      throw .unavailable(
        "say how the connection to \(hosts.joined(separator: ",")) is protected: add sslmode=verify-full and "
          + "sslrootcert=FILE to the address, or sslmode=disable where the network itself is trusted")
    }
    self.url = url
    shown = "\(values["dbname"] ?? "postgres") on \(hosts.isEmpty ? "this machine" : hosts.joined(separator: ","))"
  }

  /// What libpq is given: the URL wins over what comes before it.
  var parameters: [(String, String)] {
    [
      ("application_name", "payonce"), ("target_session_attrs", "read-write"), ("connect_timeout", "2"),
      ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"), ("dbname", url),
      ("client_encoding", "UTF8"),
      (
        "options",
        "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s -c bytea_output=hex"
      ),
    ]
  }
}
