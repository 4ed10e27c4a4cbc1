import Foundation

/// Measures the same work with PostgreSQL's own `pgbench` on the same server. Each payment takes two transactions, one
/// that starts it and one that stores its outcome, and shares them with no other payment.
struct PgBench {
  enum Style: String, CaseIterable {
    case statements = "separate statements"
    case cte = "one statement a transaction"
  }
  let url: String
  let folder: String

  /// Makes orders whose ids a script can count, and pays them.
  /// - Parameter first: the number of the first order. No order has this or a higher one yet.
  func measure(_ style: Style, payments: Int, clients: Int, first: Int) throws -> Rate {
    let each = payments / clients
    try psql(Self.orders(first: first, count: each * clients))
    let script = folder + "/\(style).pgbench"
    let text = "\\set k :k + 1\n\\set n \(first) + :client_id + (:k - 1) * \(clients)\n" + Self.script(style)
    try text.write(toFile: script, atomically: true, encoding: .utf8)
    let output = try run(
      "pgbench",
      [
        "-n", "-M", "prepared", "-c", "\(clients)", "-j", "2", "-t", "\(each)", "-D", "k=0", "-l",
        "--log-prefix=\(script)",
      ]
        + ["-f", script, url])
    guard let line = output.split(separator: "\n").first(where: { $0.hasPrefix("tps = ") }),
      let perSecond = Double(line.split(separator: " ")[2]), output.contains("number of failed transactions: 0")
    else { throw SetupError("pgbench said: \(output.suffix(500))") }
    return Rate(
      count: each * clients, in: .seconds(Double(each * clients) / perSecond), latencies: try latencies(script))
  }

  /// The time of each transaction in nanoseconds. pgbench logs it in microseconds, as the third field.
  private func latencies(_ prefix: String) throws -> [Int64] {
    let name = (prefix as NSString).lastPathComponent
    var latencies: [Int64] = []
    for file in try FileManager.default.contentsOfDirectory(atPath: folder)
    where file.hasPrefix(name + ".") && file != name {
      let path = folder + "/" + file
      for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
        let fields = line.split(separator: " ")
        if fields.count > 2, let microseconds = Int64(fields[2]) { latencies.append(microseconds * 1000) }
      }
      try FileManager.default.removeItem(atPath: path)
    }
    return latencies
  }

  /// Where the server's log ends, in bytes.
  func log() throws -> Int64? {
    Int64(try psql("SELECT pg_current_wal_lsn() - '0/0'").trimmingCharacters(in: .whitespacesAndNewlines))
  }

  @discardableResult
  private func psql(_ sql: String) throws -> String {
    try run("psql", ["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
  }

  private func run(_ program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    process.currentDirectoryURL = URL(filePath: folder)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw SetupError("\(program) failed: \(text.suffix(500))") }
    return text
  }

  // MARK: The same rows, with as many bytes in them

  private static let id = "decode(lpad(to_hex(:n::bigint), 32, '0'), 'hex')"
  private static let time = 1_795_000_000_000
  private static let (deadline, lapse) = ("\(time + 86_400_000)", "\(time + 40_000)")
  private static func bytes(_ count: Int) -> String { "'\\x\(String(repeating: "07", count: count))'" }
  private static let (registered, paying, paid) = (bytes(60), bytes(130), bytes(130))
  private static let (started, succeeded, spans) = (bytes(65), bytes(75), bytes(24))

  private static func orders(first: Int, count: Int) -> String {
    """
    WITH n AS (SELECT n, decode(lpad(to_hex(n), 32, '0'), 'hex') AS id
      FROM generate_series(\(first), \(first + count - 1)) AS n),
    o AS (INSERT INTO orders (id, number, merchant, reference, amount, currency, status, version, state)
      SELECT id, id, 'mer_pgbench', 'order-' || n, 1999, 'CNY', 'open', 1, \(registered) FROM n),
    w AS (INSERT INTO wakes SELECT \(deadline), id FROM n)
    INSERT INTO under_way SELECT 'mer_pgbench', id FROM n
    """
  }

  private static let startedOrder = "live_ordinal = 1, version = 2, state = \(paying)"
  private static let paidOrder = "status = 'paid', live_ordinal = NULL, kept_ordinal = 1, version = 3, state = \(paid)"
  private static let queued = "INSERT INTO feed_queue (at, session, batch, merchant, count, spans)"

  private static func script(_ style: Style) -> String {
    switch style {
    case .statements:
      """
      BEGIN;
      SELECT * FROM orders WHERE id = \(id) FOR UPDATE;
      UPDATE orders SET \(startedOrder) WHERE id = \(id);
      DELETE FROM wakes WHERE at = \(deadline) AND id = \(id);
      INSERT INTO wakes VALUES (\(lapse), \(id));
      INSERT INTO events VALUES (\(id), 2, \(started));
      \(queued) VALUES (\(time), 'pgbench', 2 * :n::bigint, 'mer_pgbench', 1, \(spans));
      COMMIT;
      BEGIN;
      SELECT * FROM orders WHERE id = \(id) FOR UPDATE;
      UPDATE orders SET \(paidOrder) WHERE id = \(id);
      DELETE FROM wakes WHERE at = \(lapse) AND id = \(id);
      DELETE FROM under_way WHERE merchant = 'mer_pgbench' AND id = \(id);
      INSERT INTO events VALUES (\(id), 3, \(succeeded));
      \(queued) VALUES (\(time), 'pgbench', 2 * :n::bigint + 1, 'mer_pgbench', 2, \(spans));
      COMMIT;
      """
    case .cte:
      """
      WITH o AS (UPDATE orders SET \(startedOrder) WHERE id = \(id) AND status = 'open' RETURNING id),
        d AS (DELETE FROM wakes USING o WHERE wakes.at = \(deadline) AND wakes.id = o.id),
        w AS (INSERT INTO wakes SELECT \(lapse), id FROM o),
        e AS (INSERT INTO events SELECT id, 2, \(started) FROM o)
      \(queued) SELECT \(time), 'pgbench', 2 * :n::bigint, 'mer_pgbench', 1, \(spans) FROM o;
      WITH o AS (UPDATE orders SET \(paidOrder) WHERE id = \(id) AND status = 'open' RETURNING id),
        d AS (DELETE FROM wakes USING o WHERE wakes.at = \(lapse) AND wakes.id = o.id),
        u AS (DELETE FROM under_way USING o WHERE under_way.merchant = 'mer_pgbench' AND under_way.id = o.id),
        e AS (INSERT INTO events SELECT id, 3, \(succeeded) FROM o)
      \(queued) SELECT \(time), 'pgbench', 2 * :n::bigint + 1, 'mer_pgbench', 2, \(spans) FROM o;
      """
    }
  }
}
