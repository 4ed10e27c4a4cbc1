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

  private func psql(_ sql: String) throws { _ = try run("psql", ["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url]) }

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

  // MARK: The same rows

  private static let id = "'ord_' || lpad(:n::text, 26, '0')"
  private static let time = 1_795_000_000_000
  private static let event = "INSERT INTO events (order_id, sequence, merchant, type, at, data)"

  private static func orders(first: Int, count: Int) -> String {
    """
    INSERT INTO orders (id, merchant, reference, amount, currency, description, expires_in, late_payment, metadata,
      checkout_secret, created_at, expires_at, status, updated_at, version, sequence, duplicates_prevented,
      payment_count, refund_count, case_count, wake_at)
    SELECT 'ord_' || lpad(n::text, 26, '0'), 'mer_pgbench', 'order-' || n, 1999, 'CNY', 'A pound of tea', 86400, 'refund',
      '{}', '\\x00112233445566778899aabbccddeeff', \(time), \(time) + 86400000, 'open', \(time), 1, 1, 0, 0, 0, 0,
      \(time) + 86400000
    FROM generate_series(\(first), \(first + count - 1)) AS n
    """
  }

  private static let newPayment = """
    (order_id, ordinal, key, provider, method, amount, currency, created_at, expires_at, status, updated_at, next_at,
      call_kind, call_number, call_asked_at, call_until, moving_until, calls_made, step, first_sent_call, first_sent_at)
    """
  private static let payment = """
    1, 'key', 'instant', 'ok', 1999, 'CNY', \(time), \(time) + 86400000, 'processing', \(time), \(time), 'charge', 1,
      \(time), \(time) + 20000, \(time) + 40000, 1, 0, 1, \(time)
    """
  private static let started = #"{"payment":"pay_1","provider":"instant","method":"ok","amount":1999,"currency":"CNY"}"#
  private static let startedOrder = "version = 2, sequence = 2, payment_count = 1, wake_at = \(time) + 20000"
  private static let paidOrder = """
    status = 'paid', paid_at = \(time), updated_at = \(time), version = 3, sequence = 4, wake_at = NULL
    """
  private static let paidPayment = """
    status = 'succeeded', amount_received = 1999, currency_received = 'CNY', updated_at = \(time), next_at = NULL,
      call_kind = NULL, call_number = NULL, call_asked_at = NULL, call_until = NULL, moving_until = NULL, last_call_kind = 'charge',
      last_call_at = \(time), last_call_finding = 'found'
    """
  private static let succeeded = #"{"payment":"pay_1","amount_received":1999,"currency_received":"CNY"}"#

  private static func script(_ style: Style) -> String {
    switch style {
    case .statements:
      """
      BEGIN;
      SELECT * FROM orders WHERE id = \(id) FOR UPDATE;
      SELECT * FROM payments WHERE order_id = \(id);
      INSERT INTO payments \(newPayment) VALUES (\(id), \(payment));
      UPDATE orders SET \(startedOrder) WHERE id = \(id);
      \(event) VALUES (\(id), 2, 'mer_pgbench', 'payment.started', \(time), '\(started)');
      COMMIT;
      BEGIN;
      SELECT * FROM orders WHERE id = \(id) FOR UPDATE;
      SELECT * FROM payments WHERE order_id = \(id);
      UPDATE payments SET \(paidPayment) WHERE order_id = \(id) AND ordinal = 1;
      UPDATE orders SET \(paidOrder) WHERE id = \(id);
      \(event) VALUES (\(id), 3, 'mer_pgbench', 'payment.succeeded', \(time), '\(succeeded)'),
        (\(id), 4, 'mer_pgbench', 'order.paid', \(time), '\(succeeded)');
      COMMIT;
      """
    case .cte:
      """
      WITH o AS (UPDATE orders SET \(startedOrder) WHERE id = \(id) AND status = 'open' RETURNING id),
        p AS (INSERT INTO payments \(newPayment) SELECT id, \(payment) FROM o)
      \(event) SELECT id, 2, 'mer_pgbench', 'payment.started', \(time), '\(started)' FROM o;
      WITH o AS (UPDATE orders SET \(paidOrder) WHERE id = \(id) AND status = 'open' RETURNING id),
        p AS (UPDATE payments SET \(paidPayment) FROM o WHERE order_id = o.id AND ordinal = 1)
      \(event) SELECT id, e.sequence, 'mer_pgbench', e.type, \(time), '\(succeeded)'
      FROM o, (VALUES (3, 'payment.succeeded'), (4, 'order.paid')) AS e (sequence, type);
      """
    }
  }
}
