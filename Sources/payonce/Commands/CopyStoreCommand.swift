import ArgumentParser
import Foundation
import OrderRows
import PaymentEngine
import PostgresStore
import SQLiteStore

struct CopyStoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "copy-store", abstract: "Copy everything from SQLite to an empty PostgreSQL database.",
    discussion: """
      Stop the server first. Orders, payments, keys and the cursors of shops' event feeds stay what they are. All of it is
      copied, or nothing. The file stays as it is: keep it as a backup, and start no server on it again.
      """)

  @Option(help: "The store to copy: sqlite:FILE.")
  var from: String
  @Option(help: "The database to copy it to: postgres://…")
  var to: String

  func run() async throws {
    try await reporting {
      let (source, target) = (try StoreLocation(from, option: "--from"), try StoreLocation(to, option: "--to"))
      guard case .sqlite(let path) = source else {
        throw SetupError("--from must be an embedded store, such as sqlite:./data/payonce.db. It is: \(source.shown)")
      }
      guard case .postgres(let address) = target else {
        throw SetupError(
          "--to must be a database, such as postgres://payonce@db.example.com/payonce?sslmode=verify-full. It is: \(target.shown)"
        )
      }
      guard FileManager.default.fileExists(atPath: path) else { throw SetupError("There is no store at \(path).") }
      try holdAlone(path)
      let clock = SystemClock()
      do {
        let source = try SQLiteDatabase(path: path, patience: Limits().storePatience, clock: clock)
        try PostgresMigrator.migrate(address, clock: clock)
        let target = try PostgresImport(address, clock: clock)
        try source.rows(of: WholeTable.all, atATime: 500) { table, rows in try target.insert(rows, into: table) }
        for (table, count) in try target.commit() { announce("\(table)\t\(count)") }
      } catch Fault.unknownCommit {
        throw SetupError(
          "The connection to \(address.shown) was lost at the very end, and the copy may or may not be there. Start no server "
            + "on either store. Run this again: if it says that something is in it already, the copy is complete.")
      } catch let fault as Fault {
        throw SetupError("Nothing was copied to \(address.shown): \(fault.reason).")
      }
      announce("copied. Start the servers with --store, and no server on \(path) any more")
    }
  }
}
