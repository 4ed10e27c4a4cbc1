import CLibPQ
import Glibc
import OrderRows
import PaymentCore
import PaymentEngine

/// A statement that is prepared once per connection.
struct PostgresStatement: Sendable {
  /// Unique among all statements; `nil` for those that are not worth preparing.
  let name: String?
  let sql: String
}

/// A statement with its values, as text; arrays in PostgreSQL's own form.
struct PostgresCall {
  let statement: PostgresStatement
  let arguments: [String?]

  init(_ statement: PostgresStatement, _ arguments: [String?] = []) {
    self.statement = statement
    self.arguments = arguments
  }

  /// One that is not worth preparing.
  init(sql: String, _ arguments: [String?] = []) { self.init(PostgresStatement(name: nil, sql: sql), arguments) }

  static let begin = PostgresCall(sql: "BEGIN")
  static let commit = PostgresCall(sql: "COMMIT")
  static let rollback = PostgresCall(sql: "ROLLBACK")
}

/// One connection, used by one thread. Each round trip has a deadline of its own: a server that is frozen keeps its
/// kernel answering, so that neither keepalives nor `tcp_user_timeout` end a wait for it. Nothing is ever cancelled at the
/// server, since a cancelled wait for a standby is a commit that no standby has.
final class PostgresConnection {
  private let handle: OpaquePointer
  private let clock: any Clock
  private let notices = Notices()
  private var prepared: Set<String> = []

  /// Whether a commit was acknowledged that no standby has: somebody ended the server's wait for one.
  private final class Notices { var isUnreplicated = false }

  /// Connects, to the first of the hosts that takes writes.
  /// - Parameter parameters: of libpq, the later ones before the earlier ones.
  init(_ parameters: [(String, String)], clock: any Clock) throws(PostgresFailure) {
    self.clock = clock
    let handle = Self.withStrings(parameters.map(\.0) + [nil] + parameters.map(\.1) + [nil]) { strings in
      let (keywords, values) = (Array(strings[...parameters.count]), Array(strings[(parameters.count + 1)...]))
      return PQconnectdbParams(keywords, values, 1)
    }
    guard let handle else { throw .lost("there is no memory for a connection") }
    guard PQstatus(handle) == CONNECTION_OK else {
      let message = String(cString: PQerrorMessage(handle))
      PQfinish(handle)
      throw PostgresFailure(code: nil, message: message)
    }
    self.handle = handle
    PQsetNoticeReceiver(
      handle,
      { context, result in
        guard let context, let name = PQresultErrorField(result, Int32(UInt8(ascii: "R"))) else { return }
        if String(cString: name) == "SyncRepWaitForLSN" {
          Unmanaged<Notices>.fromOpaque(context).takeUnretainedValue().isUnreplicated = true
        }
      }, Unmanaged.passUnretained(notices).toOpaque())
    guard PQparameterStatus(handle, "server_encoding").map({ String(cString: $0) }) == "UTF8" else {
      throw .lost("the database is not in UTF8: make one with ENCODING 'UTF8'")
    }
    guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else { throw lost() }
  }

  deinit { PQfinish(handle) }

  /// Sends all of the calls at once, and returns the result of each.
  /// - Parameter limit: for the whole round trip.
  /// - Throws: the first failure; the calls after it were not made. A transaction that is open stays so, to be rolled back.
  func run(_ calls: [PostgresCall], within limit: Duration) throws(PostgresFailure) -> [PostgresResult] {
    notices.isUnreplicated = false
    // For each thing sent, the statement that it prepares, or none.
    var sent: [String?] = []
    for call in calls {
      if let name = call.statement.name, !prepared.contains(name), !sent.contains(name) {
        guard PQsendPrepare(handle, name, call.statement.sql, 0, nil) == 1 else { throw lost() }
        sent.append(name)
      }
      guard send(call) else { throw lost() }
      sent.append(nil)
    }
    guard PQpipelineSync(handle) == 1 else { throw lost() }
    let results = try collect(sent, until: clock.uptime() + limit)
    if notices.isUnreplicated { throw .lost("a commit was acknowledged before a standby had it") }
    return results
  }

  private func send(_ call: PostgresCall) -> Bool {
    Self.withStrings(call.arguments) { values in
      if let name = call.statement.name {
        PQsendQueryPrepared(handle, name, Int32(values.count), values, nil, nil, 0) == 1
      } else {
        PQsendQueryParams(handle, call.statement.sql, Int32(values.count), nil, values, nil, nil, 0) == 1
      }
    }
  }

  private func collect(_ sent: [String?], until deadline: Duration) throws(PostgresFailure) -> [PostgresResult] {
    var results: [PostgresResult] = []
    var failure: PostgresFailure?
    var index = 0
    while true {
      try waitForResult(until: deadline)
      guard let raw = PQgetResult(handle) else {
        // The end of one call's results.
        index += 1
        guard index <= sent.count else { throw lost() }
        continue
      }
      let result = PostgresResult(raw)
      switch PQresultStatus(raw) {
      case PGRES_PIPELINE_SYNC:
        if let failure { throw failure }
        return results
      case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
        if let name = sent[index] { prepared.insert(name) } else { results.append(result) }
      case PGRES_PIPELINE_ABORTED: break
      default:
        guard PQstatus(handle) == CONNECTION_OK else { throw lost() }
        failure = failure ?? result.failure
      }
    }
  }

  /// Writes what is still to be sent and reads until a result is complete.
  private func waitForResult(until deadline: Duration) throws(PostgresFailure) {
    while true {
      let unsent = PQflush(handle)
      guard unsent >= 0 else { throw lost() }
      if PQisBusy(handle) == 0 { return }
      let left = (deadline - clock.uptime()).wholeMilliseconds
      guard left > 0 else { throw .lost("it does not answer in time") }
      var socket = pollfd(fd: PQsocket(handle), events: Int16(unsent == 1 ? POLLIN | POLLOUT : POLLIN), revents: 0)
      guard poll(&socket, 1, Int32(min(left, 1000))) >= 0 || errno == EINTR else { throw lost() }
      if socket.revents != 0, PQconsumeInput(handle) == 0 { throw lost() }
    }
  }

  private func lost() -> PostgresFailure {
    PostgresFailure(code: nil, message: String(cString: PQerrorMessage(handle)))
  }

  private static func withStrings<Value>(
    _ strings: [String?], _ work: ([UnsafePointer<CChar>?]) -> Value
  ) -> Value {
    // PostgreSQL has no NUL in its texts, and a provider may say one.
    let copies = strings.map { text in
      text.flatMap { strdup($0.utf8.contains(0) ? $0.replacing("\0", with: "\u{FFFD}") : $0) }
    }
    defer { for copy in copies { free(copy) } }
    return work(copies.map { UnsafePointer($0) })
  }
}

/// The rows that a statement gave.
final class PostgresResult {
  fileprivate let raw: OpaquePointer

  fileprivate init(_ raw: OpaquePointer) { self.raw = raw }

  deinit { PQclear(raw) }

  var rows: some RandomAccessCollection<PostgresRow> {
    (0..<PQntuples(raw)).lazy.map { [self] in PostgresRow(result: self, number: $0) }
  }

  fileprivate var failure: PostgresFailure {
    func field(_ name: Character) -> String? {
      PQresultErrorField(raw, Int32(name.asciiValue!)).map { String(cString: $0) }
    }
    return PostgresFailure(code: field("C"), message: field("M") ?? "no message")
  }
}

/// A row of a result, in text form.
struct PostgresRow: ResultRow {
  fileprivate let result: PostgresResult
  fileprivate let number: Int32

  func isNull(at index: Int) -> Bool { PQgetisnull(result.raw, number, Int32(index)) != 0 }

  private func value(at index: Int) -> UnsafePointer<CChar>? {
    guard PQgetisnull(result.raw, number, Int32(index)) == 0 else { return nil }
    return UnsafePointer(PQgetvalue(result.raw, number, Int32(index)))
  }

  func integer(at index: Int) -> Int64? { value(at: index).flatMap { Int64(String(cString: $0)) } }

  func text(at index: Int) -> String? { value(at: index).map { String(cString: $0) } }

  func bytes(at index: Int) -> [UInt8]? {
    guard let digits = value(at: index), digits[0] == CChar(UInt8(ascii: "\\")), digits[1] == CChar(UInt8(ascii: "x"))
    else { return nil }
    func digit(_ place: Int) -> UInt8 {
      let digit = UInt8(bitPattern: digits[place])
      return digit < UInt8(ascii: "a") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "W")
    }
    let count = Int(PQgetlength(result.raw, number, Int32(index)) - 2) / 2
    return [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
      for place in 0..<count { bytes[place] = digit(2 * place + 2) << 4 | digit(2 * place + 3) }
      initialized = count
    }
  }
}
