import ArgumentParser
import Foundation
import PaymentEngine
import PostgresStore
import SQLiteStore

/// A store with everything that writes and reads it.
struct OpenedStore {
  /// One per lane.
  let writing: [any Store]
  let reading: any Reading
  let directory: any Directory
}

/// Which store, from `--store`.
enum StoreLocation {
  case sqlite(path: String)
  case postgres(PostgresAddress)

  /// - Parameter option: that it was given with, for complaints.
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
      // What was meant may hold a password: only the name of a scheme is repeated.
      let scheme = text.prefix { $0.isASCII && $0.isLetter }
      let given = !scheme.isEmpty && text.dropFirst(scheme.count).first == ":" ? " It begins with: \(scheme):" : ""
      throw SetupError(
        "\(option) must be sqlite:FILE, such as sqlite:./data/payonce.db, or postgres://USER@HOST/DATABASE.\(given)")
    }
  }

  /// Whether several nodes can work on it.
  var isShared: Bool { if case .postgres = self { true } else { false } }

  /// Opens it, makes it where there is none, and brings its schema up to date.
  /// - Parameter lanes: how many transactions there may be at once, where the store has more than one writer.
  func open(lanes: Int = 1, limits: Limits = Limits()) throws -> OpenedStore {
    let clock = SystemClock()
    switch self {
    case .sqlite(let path):
      try makeFolder(of: path)
      do {
        let database = try SQLiteDatabase(path: path, patience: limits.storePatience, clock: clock)
        return OpenedStore(
          writing: [SQLiteStore(database)], reading: SQLiteReading(database), directory: SQLiteDirectory(database))
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
      let readers = PostgresReaders(address, id: id, patience: limits.storePatience, clock: clock)
      return OpenedStore(
        writing: (1...lanes).map { PostgresStore(address, id: "\(id)-lane-\($0)", clock: clock) },
        reading: PostgresReading(readers), directory: PostgresDirectory(readers))
    }
  }

  /// Whether it is there; of a database nobody knows before it is asked.
  var exists: Bool { if case .sqlite(let path) = self { FileManager.default.fileExists(atPath: path) } else { true } }

  /// For a person; without a password.
  var shown: String {
    switch self {
    case .sqlite(let path): path
    case .postgres(let address): address.shown
    }
  }

  /// Opens one that must be there already.
  func openExisting() throws -> OpenedStore {
    if case .sqlite(let path) = self, !exists {
      throw SetupError("There is no store at \(path). Name yours with --store, or run this in the server's folder.")
    }
    return try open()
  }
}

struct StoreOption: ParsableArguments {
  @Option(help: "The store: sqlite:FILE or postgres://USER@HOST/DATABASE. (default: sqlite:./data/payonce.db)")
  var store: String?

  /// Whether it was said which one, and not left to the folder that this is run in.
  var isNamed: Bool { Setting.value(store, .store) != nil }

  func location() throws -> StoreLocation {
    try StoreLocation(
      Setting.value(store, .store) ?? "sqlite:./data/payonce.db", option: Setting.source(store, .store))
  }
}
