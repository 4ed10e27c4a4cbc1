package import OrderRows
package import PaymentEngine

/// A whole store that is copied into an empty database: all of it or nothing.
package final class PostgresImport {
  private let connection: PostgresConnection
  private var counts: [String: Int] = [:]

  /// Of a round trip: the server may have much to write.
  private static let limit: Duration = .seconds(600)

  /// Begins a copy. The schema must be there.
  /// - Throws: `Fault.unavailable` when there is something in the database already.
  package init(_ address: PostgresAddress, clock: any Clock) throws(Fault) {
    do throws(PostgresFailure) {
      connection = try PostgresConnection(address.parameters(first: address.firstHost), clock: clock)
      // One moment for all of it. Should a server begin to write meanwhile, the counts at the end do not agree.
      try Self.run(connection, ["BEGIN", "SET LOCAL statement_timeout = 0"])
    } catch { throw error.fault }
    guard try text("SELECT current_setting('synchronous_commit')") != "off" else {
      throw .unavailable("synchronous_commit is off, so that orders could be lost: set it to on")
    }
    for table in WholeTable.all {
      guard try count(table) == 0 else { throw .unavailable("there are \(table.name) in it already") }
    }
  }

  package func insert(_ rows: [[Cell?]], into table: WholeTable) throws(Fault) {
    let statement = PostgresStatement(
      name: "import_\(table.name)", sql: PostgresSQL.insert(into: table.name, table.columns))
    let arrays = table.columns.indices.map { column in PostgresSQL.array(rows.lazy.map { $0[column] }) }
    do throws(PostgresFailure) {
      _ = try connection.run([PostgresCall(statement, arrays)], within: Self.limit)
    } catch { throw .unavailable("the rows of \(table.name) are not taken: \(error.fault)") }
    counts[table.name, default: 0] += rows.count
  }

  /// Ends the copy.
  /// - Returns: how many rows each table has now, counted by the server.
  package func commit() throws(Fault) -> [(table: String, count: Int)] {
    do throws(PostgresFailure) {
      try Self.run(
        connection,
        ["INSERT INTO feeds (merchant, last) SELECT merchant, max(position) FROM feed GROUP BY merchant"])
    } catch { throw error.fault }
    var all: [(String, Int)] = []
    for table in WholeTable.all {
      let count = try count(table)
      guard count == counts[table.name, default: 0] else {
        throw .unavailable("\(count) rows of \(table.name) arrived, \(counts[table.name, default: 0]) were sent")
      }
      all.append((table.name, count))
    }
    do throws(PostgresFailure) { try Self.run(connection, ["COMMIT"]) } catch .lost { throw .unknownCommit } catch {
      throw error.fault
    }
    return all
  }

  private func count(_ table: WholeTable) throws(Fault) -> Int {
    try text("SELECT count(*) FROM \(table.name)").flatMap { Int($0) } ?? -1
  }

  private func text(_ sql: String) throws(Fault) -> String? {
    do throws(PostgresFailure) { return try Self.run(connection, [sql])[0].rows.first?.text(at: 0) } catch {
      throw error.fault
    }
  }

  @discardableResult
  private static func run(_ connection: PostgresConnection, _ sql: [String]) throws(PostgresFailure) -> [PostgresResult]
  {
    try connection.run(sql.map { PostgresCall(sql: $0) }, within: limit)
  }
}
