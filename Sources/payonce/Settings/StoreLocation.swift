import ArgumentParser
import Foundation
import OrderRows
import PaymentEngine
import PostgresStore
import SQLiteStore

/// A store that is open, with everything that writes and reads it.
struct OpenedStore {
  /// One per lane.
  let writing: [any Store]
  let reading: any Reading
  let stored: any StoredOrderReading
  let archiving: any Archiving
  let directory: any Directory
}

/// The store that `--store` names.
enum StoreLocation {
  case sqlite(path: String)
  case postgres(PostgresAddress)

  /// - Parameter option: the option's name, for complaints.
  /// - Throws: `SetupError` when the text names no store. A password is not repeated.
  init(_ text: String, option: String) throws {
    if text.hasPrefix("sqlite:") {
      let path = String(text.dropFirst(7))
      guard !path.isEmpty else { throw SetupError("\(option) sqlite: needs a file, such as sqlite:./data/payonce.db") }
      self = .sqlite(path: path)
    } else if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
      do { self = .postgres(try PostgresAddress(url: text)) } catch {
        throw SetupError("\(option): \(error.reason).")
      }
    } else {
      // The text may hold a password, so only the name of a scheme is repeated.
      let scheme = text.prefix { $0.isASCII && $0.isLetter }
      let given = !scheme.isEmpty && text.dropFirst(scheme.count).first == ":" ? " It begins with: \(scheme):" : ""
      throw SetupError(
        "\(option) must be sqlite:FILE, such as sqlite:./data/payonce.db, or postgres://USER@HOST/DATABASE.\(given)")
    }
  }

  /// Whether several nodes can work on the store.
  var isShared: Bool { if case .postgres = self { true } else { false } }

  /// Opens the store. Makes it where there is none, and migrates its schema.
  /// - Parameters:
  ///   - lanes: how many transactions there may be at once. SQLite has one writer in any case.
  ///   - isServing: whether it is for a server, which does what has to be done beside the payments.
  /// - Throws: `SetupError` when it cannot be opened, reached or migrated.
  func open(lanes: Int = 1, limits: Limits = Limits(), isServing: Bool = false) throws -> OpenedStore {
    let clock = SystemClock()
    switch self {
    case .sqlite(let path):
      try makeFolder(of: path)
      do {
        let database = try SQLiteDatabase(path: path, patience: limits.storePatience, clock: clock)
        let reading = SQLiteReading(database)
        return OpenedStore(
          writing: [SQLiteStore(database)], reading: reading, stored: reading, archiving: SQLiteArchiving(database),
          directory: SQLiteDirectory(database))
      } catch {
        throw SetupError(
          "The store \(path) cannot be opened: \(error.reason). Name one of PayOnce's own, in a folder that can be "
            + "written, with --store.")
      }
    case .postgres(let address):
      do {
        try PostgresMigrator.migrate(address, clock: clock)
      } catch {
        throw SetupError("The database \(address.shown) cannot be used: \(error.reason).")
      }
      let id = UUID().uuidString.lowercased()
      let readers = PostgresReaders(
        address, id: id, patience: limits.storePatience, clock: clock, isServing: isServing)
      let reading = PostgresReading(readers)
      return OpenedStore(
        writing: (1...lanes).map { PostgresStore(address, id: "\(id)-lane-\($0)", clock: clock) },
        reading: reading, stored: reading, archiving: PostgresArchiving(readers),
        directory: PostgresDirectory(readers))
    }
  }

  /// Whether the store is there. Always true of a database, which is not asked.
  var exists: Bool { if case .sqlite(let path) = self { FileManager.default.fileExists(atPath: path) } else { true } }

  /// The path or address as people may read it, without a password.
  var shown: String {
    switch self {
    case .sqlite(let path): path
    case .postgres(let address): address.shown
    }
  }

  /// Opens the store, and refuses a file that does not exist. An empty database gets its tables.
  func openExisting() throws -> OpenedStore {
    try requireExisting()
    return try open()
  }

  /// - Throws: `SetupError` when it is a file that does not exist.
  func requireExisting() throws {
    if case .sqlite(let path) = self, !exists {
      throw SetupError("There is no store at \(path). Name yours with --store, or run this in the server's folder.")
    }
  }

  /// Keeps every other process off a file, for as long as this one lives. A database is for several.
  /// - Throws: `SetupError` when another process has it.
  func holdAlone() throws {
    guard case .sqlite(let path) = self else { return }
    try makeFolder(of: path)
    try payonce.holdAlone(path)
  }
}

struct StoreOption: ParsableArguments {
  @Option(help: "The store: sqlite:FILE or postgres://USER@HOST/DATABASE. (default: sqlite:./data/payonce.db)")
  var store: String?

  /// Whether an option or the environment names the store. Else it is in the folder in which the program runs.
  var isNamed: Bool { Setting.value(store, .store) != nil }

  func location() throws -> StoreLocation {
    try StoreLocation(
      Setting.value(store, .store) ?? "sqlite:./data/payonce.db", option: Setting.source(store, .store))
  }
}
