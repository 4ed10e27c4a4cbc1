import CLibPQ
import Glibc
package import PaymentEngine
import Synchronization

/// Where the database is: a URL of libpq's, with one host or several. A password is taken from it, from PGPASSWORD or from
/// the file that PGPASSFILE names, and is never told.
package struct PostgresAddress: Sendable {
  private let url: String
  private let options: String
  /// What is told of it.
  package let shown: String
  /// Names or addresses of its servers; none for a socket of this machine.
  package let hosts: [String]
  /// What libpq lists for each host.
  private let lists: [(keyword: String, values: [String])]
  private let first = FirstHost()

  /// Which of the hosts is tried first. libpq begins with the first one each time, and that one may be a former primary
  /// that takes connections and can commit nothing any more.
  private final class FirstHost: Sendable { let index = Mutex(0) }

  /// - Throws: `Fault.unavailable` with what is wrong.
  package init(url: String) throws(Fault) {
    // A password with such a sign in it is taken apart: what should be secret would be a host or a database, and be told.
    let beforeOptions = url.utf8.split(separator: UInt8(ascii: "?"), omittingEmptySubsequences: false).first ?? []
    let parts = beforeOptions.dropFirst(url.hasPrefix("postgres:") ? 11 : 13)
      .split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let signs = parts.map { part in part.count { $0 == UInt8(ascii: "@") } }
    guard signs.dropFirst().allSatisfy({ $0 == 0 }), signs.first ?? 0 <= 1 else {
      throw .unavailable(
        "in the address of the database @ and / end the password: if it has one, write %40 and %2F instead")
    }
    var message: UnsafeMutablePointer<CChar>?
    guard let list = PQconninfoParse(url, &message) else {
      // What follows is what was given.
      let text = message.map { String(cString: $0) }?.prefix { $0 != ":" && $0 != "\"" } ?? "it cannot be read"
      PQfreemem(message)
      throw .unavailable(
        "the address of the database is not one: \(text.filter { !$0.isNewline }). It is "
          + "postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE, and signs in the password are percent-encoded")
    }
    defer { PQconninfoFree(list) }
    var values: [String: String] = [:]
    var option = list
    while let keyword = option.pointee.keyword {
      if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
      option += 1
    }
    for (keyword, variable) in [
      ("host", "PGHOST"), ("hostaddr", "PGHOSTADDR"), ("port", "PGPORT"), ("sslmode", "PGSSLMODE"),
    ] {
      values[keyword] = values[keyword] ?? getenv(variable).map { String(cString: $0) }
    }
    for port in (values["port"] ?? "").split(separator: ",")
    where !(Int(port).map { (1...65_535).contains($0) } ?? false) {
      throw .unavailable("the port in the address of the database is not a number of 1 to 65535")
    }
    hosts = (values["hostaddr"] ?? values["host"] ?? "").split(separator: ",").map(String.init)
    let count = hosts.count
    lists = ["host", "hostaddr", "port"].compactMap { keyword in
      let list = (values[keyword] ?? "").split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      return list.count == count ? (keyword, list) : nil
    }
    let isNamedElsewhere = values["service"] != nil || getenv("PGSERVICE") != nil
    guard hosts.allSatisfy(Self.isLocal) && !isNamedElsewhere || values["sslmode"] != nil else {
      throw .unavailable(
        "say how the connection to \(hosts.joined(separator: ",")) is protected: add sslmode=verify-full and "
          + "sslrootcert=FILE to the address, or sslmode=disable where the network itself is trusted")
    }
    options = values["options"] ?? getenv("PGOPTIONS").map { String(cString: $0) } ?? ""
    self.url = url
    shown = "\(values["dbname"] ?? "postgres") on \(hosts.isEmpty ? "this machine" : hosts.joined(separator: ","))"
  }

  /// Which host is tried first at the moment.
  var firstHost: Int { first.index.withLock { $0 } }

  /// Begins with the next host from now on, unless another thread has seen to that already.
  func avoid(_ host: Int) { first.index.withLock { if $0 == host, hosts.count > 1 { $0 = (host + 1) % hosts.count } } }

  /// What libpq is given: what comes later wins.
  /// - Parameter host: the one to try first.
  func parameters(first host: Int) -> [(String, String)] {
    fixedParameters
      + (host == 0 ? [] : lists.map { ($0.keyword, ($0.values[host...] + $0.values[..<host]).joined(separator: ",")) })
  }

  private var fixedParameters: [(String, String)] {
    [
      ("application_name", "payonce"), ("target_session_attrs", "read-write"), ("connect_timeout", "2"),
      ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"), ("dbname", url),
      ("client_encoding", "UTF8"),
      // Shorter than a round trip may take, so that nothing goes on when nobody waits for it any more; and a node that
      // stops between reading and writing does not keep its orders locked for long.
      (
        "options",
        """
        -c statement_timeout=6s -c lock_timeout=3s -c idle_in_transaction_session_timeout=15s \(options) \
        -c bytea_output=hex -c client_min_messages=warning
        """
      ),
    ]
  }

  /// A socket, or loopback.
  private static func isLocal(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return host.hasPrefix("/") || ["localhost", "::1"].contains(host)
      || (parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil })
  }
}
