import FoundationEssentials
import GRDB

// swift-format-ignore: AlwaysUseLowerCamelCase
/// A charge as the books keep it. Amounts are in minor units, times in milliseconds since 1970.
struct Charge: Codable, FetchableRecord, PersistableRecord, Sendable {
  static let databaseTableName = "charges"

  enum Status: String, Codable, Sendable {
    case pending
    case requiresAction = "requires_action"
    case succeeded, declined, closed
  }

  var id: String
  var amount: Int64
  var currency: String
  var method: String
  var status: Status
  /// The amount that was taken; `nil` until then.
  var amount_captured: Int64?
  var captured_at: Int64?
  var expires_at: Int64?
  var notify_url: String?
  var created_at: Int64
  /// When the charge will succeed by itself; `nil` when it will not.
  var succeeds_at: Int64?
}

// swift-format-ignore: AlwaysUseLowerCamelCase
/// A refund. There is no pending one: the money goes back at once.
struct BankRefund: Codable, FetchableRecord, PersistableRecord, Sendable {
  static let databaseTableName = "refunds"
  var id: String
  var charge: String
  var amount: Int64
  var created_at: Int64
}

// swift-format-ignore: AlwaysUseLowerCamelCase
/// A notice that waits to be sent, at `due_at`, for the first time or again.
struct PendingNotice: Codable, FetchableRecord, PersistableRecord, Sendable {
  static let databaseTableName = "notices"
  var id: String
  var url: String
  var body: String
  var due_at: Int64
  var attempts: Int
}

/// A refusal of the bank: the status and the code of the answer, and the charge that it is about.
struct BankRefusal: Error {
  let status: Int
  let code: String
  let charge: Charge?
  init(_ status: Int, _ code: String, charge: Charge? = nil) {
    self.status = status
    self.code = code
    self.charge = charge
  }
}

/// The record of what the bank did: one SQLite file that survives a kill. Each change is one transaction.
struct Books: Sendable {
  private let queue: DatabaseQueue

  init(path: String) throws {
    try Self.refuseOthers(path)
    var configuration = Configuration()
    configuration.busyMode = .timeout(5)
    queue = try DatabaseQueue(path: path, configuration: configuration)
    try queue.writeWithoutTransaction { database in
      // Committed data survives a kill of the bank. It need not survive a power cut.
      try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    }
    var migrator = DatabaseMigrator()
    migrator.registerMigration("books") { database in
      try database.execute(
        sql: """
          CREATE TABLE charges (
            id TEXT PRIMARY KEY NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL,
            method TEXT NOT NULL, status TEXT NOT NULL, amount_captured INTEGER, captured_at INTEGER,
            expires_at INTEGER, notify_url TEXT, created_at INTEGER NOT NULL, succeeds_at INTEGER,
            CHECK ((status = 'succeeded') = (captured_at IS NOT NULL))
          ) STRICT;
          CREATE INDEX charges_to_come ON charges (succeeds_at) WHERE succeeds_at IS NOT NULL;
          CREATE INDEX charges_to_expire ON charges (expires_at) WHERE status IN ('pending', 'requires_action');
          CREATE TABLE refunds (
            id TEXT PRIMARY KEY NOT NULL, charge TEXT NOT NULL REFERENCES charges (id),
            amount INTEGER NOT NULL CHECK (amount > 0), created_at INTEGER NOT NULL
          ) STRICT;
          CREATE INDEX refunds_of_charge ON refunds (charge);
          CREATE TABLE notices (
            id TEXT PRIMARY KEY NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL, due_at INTEGER NOT NULL,
            attempts INTEGER NOT NULL
          ) STRICT;
          CREATE INDEX notices_by_due ON notices (due_at);
          """)
    }
    migrator.registerMigration("mark") { try $0.execute(sql: "PRAGMA application_id = \(Self.applicationID)") }
    try migrator.migrate(queue)
  }

  /// The mark of the bank's files, SQLite's `application_id`: `POnb`.
  static let applicationID: Int32 = 0x504F_6E62

  /// The file is not the bank's.
  struct NotOurs: Error, CustomStringConvertible { let description: String }

  /// Looks at the file without changing it, not even its journal mode.
  /// - Throws: `NotOurs` when the file belongs to another program.
  private static func refuseOthers(_ path: String) throws {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(5)
    let queue: DatabaseQueue
    // A file that is missing or unreadable is left to the next open, which makes it or says what is wrong.
    do { queue = try DatabaseQueue(path: path, configuration: configuration) } catch let error as DatabaseError
      where error.resultCode == .SQLITE_CANTOPEN
    { return }
    try queue.read { database in
      let mark = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
      let tables = try String.fetchAll(
        database, sql: "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name LIMIT 1000")
      // A file is ours if it is new, or was made before files were marked.
      let isOurs = tables.isEmpty || Set(tables).isSuperset(of: ["grdb_migrations", "charges", "notices"])
      guard mark == applicationID || (mark == 0 && isOurs) else {
        let names = tables.prefix(3).map {
          String(String.UnicodeScalarView($0.unicodeScalars.filter(\.isASCII).prefix(40)))
        }
        throw NotOurs(
          description: "the file belongs to another program (its application id is \(mark), it holds "
            + "\(names.joined(separator: ", "))), and was left as it is")
      }
    }
  }

  /// The faults that one request meets.
  struct Fate: Sendable {
    var capturesWrongAmount = false
    var succeedsLate = false
  }

  /// The amounts that a charge or refund may have, in minor units.
  static let amounts: ClosedRange<Int64> = 1...1_000_000_000_000

  static let methods = ["ok", "declined", "action", "qr", "slow", "lost", "late"]

  func create(_ wanted: Charge, fate: Fate, now: Int64) async throws -> (charge: Charge, changed: Bool) {
    try await queue.write { database in
      if let stored = try Charge.fetchOne(database, key: wanted.id) {
        // A close of an unknown id has stored a charge without content. It stays closed.
        if stored.method == "unknown" { return (stored, false) }
        let isSame =
          stored.amount == wanted.amount && stored.currency == wanted.currency && stored.method == wanted.method
        guard isSame else { throw BankRefusal(409, "content_mismatch", charge: stored) }
        return (stored, false)
      }
      var charge = wanted
      switch charge.method {
      case "ok", "lost": charge.capture(now, fate)
      case "declined": charge.status = .declined
      case "slow":
        charge.status = .pending
        charge.succeeds_at = now + 3000
      default: charge.status = .requiresAction
      }
      try charge.insert(database)
      return (charge, true)
    }
  }

  func charge(_ id: String) async throws -> Charge? {
    try await queue.read { try Charge.fetchOne($0, key: id) }
  }

  func close(_ id: String, fate: Fate, now: Int64) async throws -> (charge: Charge, changed: Bool) {
    try await queue.write { database in
      guard var charge = try Charge.fetchOne(database, key: id) else {
        let closed = Charge(
          id: id, amount: 1, currency: "XXX", method: "unknown", status: .closed, created_at: now)
        try closed.insert(database)
        return (closed, false)
      }
      switch charge.status {
      case .succeeded: throw BankRefusal(409, "already_paid", charge: charge)
      case .closed, .declined: return (charge, false)
      case .pending, .requiresAction:
        charge.close(now, fate)
        try charge.update(database)
        return (charge, true)
      }
    }
  }

  /// Applies the buyer's choice on the cashier page.
  /// - Returns: the charge; `changed` when it waited for the buyer.
  /// - Throws: `not_found`.
  func decide(_ id: String, pays: Bool, fate: Fate, now: Int64) async throws -> (charge: Charge, changed: Bool) {
    try await queue.write { database in
      guard var charge = try Charge.fetchOne(database, key: id) else { throw BankRefusal(404, "not_found") }
      guard charge.status == .requiresAction else { return (charge, false) }
      if pays { charge.capture(now, fate) } else { charge.status = .declined }
      try charge.update(database)
      return (charge, true)
    }
  }

  func refund(_ wanted: BankRefund) async throws -> BankRefund {
    try await queue.write { database in
      if let stored = try BankRefund.fetchOne(database, key: wanted.id) {
        guard stored.charge == wanted.charge, stored.amount == wanted.amount else {
          throw BankRefusal(409, "content_mismatch")
        }
        return stored
      }
      guard let charge = try Charge.fetchOne(database, key: wanted.charge) else { throw BankRefusal(404, "not_found") }
      guard charge.status == .succeeded, let captured = charge.amount_captured else {
        throw BankRefusal(409, "not_paid")
      }
      let sql = "SELECT coalesce(sum(amount), 0) FROM refunds WHERE charge = ?"
      let returned = try Int64.fetchOne(database, sql: sql, arguments: [charge.id]) ?? 0
      guard returned + wanted.amount <= captured else { throw BankRefusal(422, "exceeds_charge") }
      try wanted.insert(database)
      return wanted
    }
  }

  func refunds(of charge: String) async throws -> [BankRefund] {
    try await queue.read { database in
      try BankRefund.filter(Column("charge") == charge).order(sql: "created_at, id").fetchAll(database)
    }
  }

  func refund(_ id: String) async throws -> BankRefund? {
    try await queue.read { try BankRefund.fetchOne($0, key: id) }
  }

  /// Applies what is due by now: charges that succeed by themselves succeed, and those that expired unpaid are closed.
  /// - Returns: the charges that changed.
  func settle(fate: @Sendable () -> Fate, now: Int64) async throws -> [Charge] {
    let isDue = try await queue.read { database in
      try Bool.fetchOne(
        database,
        sql: """
          SELECT EXISTS (SELECT 1 FROM charges WHERE succeeds_at <= :now) OR EXISTS
            (SELECT 1 FROM charges WHERE status IN ('pending', 'requires_action') AND expires_at <= :now)
          """, arguments: ["now": now]) ?? false
    }
    guard isDue else { return [] }
    let fate = fate()
    return try await queue.write { database in
      var changed: [Charge] = []
      for var charge in try Charge.fetchAll(
        database, sql: "SELECT * FROM charges WHERE succeeds_at <= ? ORDER BY succeeds_at, id", arguments: [now])
      {
        charge.capture(charge.succeeds_at ?? now, fate)
        try charge.update(database)
        changed.append(charge)
      }
      for var charge in try Charge.fetchAll(
        database,
        sql: """
          SELECT * FROM charges WHERE status IN ('pending', 'requires_action') AND expires_at <= ?
          ORDER BY expires_at, id
          """, arguments: [now])
      {
        charge.close(now, fate)
        try charge.update(database)
        changed.append(charge)
      }
      return changed
    }
  }

  struct Listing: Codable {
    // swift-format-ignore: AlwaysUseLowerCamelCase
    struct Entry: Codable {
      let id: String
      let amount: Int64
      let currency: String
      let status: String
      let captured_at: String?
    }
    struct RefundEntry: Codable {
      let id: String
      let charge: String
      let amount: Int64
    }
    let charges: [Entry]
    let refunds: [RefundEntry]
  }

  /// All charges and refunds, or only those of these charges. The amount of a charge is what was taken, or what was
  /// asked for when nothing was.
  func listing(of ids: [String]? = nil) async throws -> Listing {
    try await queue.read { database in
      var charges = Charge.order(sql: "created_at, id")
      var refunds = BankRefund.order(sql: "created_at, id")
      if let ids {
        charges = charges.filter(ids.contains(Column("id")))
        refunds = refunds.filter(ids.contains(Column("charge")))
      }
      return Listing(
        charges: try charges.fetchAll(database).map {
          .init(
            id: $0.id, amount: $0.amount_captured ?? $0.amount, currency: $0.currency, status: $0.status.rawValue,
            captured_at: $0.captured_at.map(BankTime.text))
        },
        refunds: try refunds.fetchAll(database).map { .init(id: $0.id, charge: $0.charge, amount: $0.amount) })
    }
  }

  // MARK: Notices

  func add(_ notices: [PendingNotice]) async throws {
    guard !notices.isEmpty else { return }
    try await queue.write { database in for notice in notices { try notice.insert(database) } }
  }

  func dueNotices(now: Int64, limit: Int) async throws -> [PendingNotice] {
    try await queue.read { database in
      let sql = "SELECT * FROM notices WHERE due_at <= ? ORDER BY due_at LIMIT ?"
      return try PendingNotice.fetchAll(database, sql: sql, arguments: [now, limit])
    }
  }

  /// - Parameter nextAt: when the notice is sent again; `nil` deletes it, since it was acknowledged or is given up.
  func finish(_ notice: PendingNotice, nextAt: Int64?) async throws {
    try await queue.write { database in
      guard let nextAt else {
        try notice.delete(database)
        return
      }
      var next = notice
      next.due_at = nextAt
      next.attempts += 1
      try next.update(database)
    }
  }
}

extension Charge {
  fileprivate mutating func capture(_ moment: Int64, _ fate: Books.Fate) {
    status = .succeeded
    amount_captured = fate.capturesWrongAmount ? amount + 1 : amount
    captured_at = moment
    succeeds_at = nil
  }

  fileprivate mutating func close(_ now: Int64, _ fate: Books.Fate) {
    status = .closed
    succeeds_at = method == "late" || fate.succeedsLate ? now + 2000 : nil
  }
}
