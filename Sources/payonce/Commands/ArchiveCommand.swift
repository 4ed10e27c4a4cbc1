import ArgumentParser
import Contract
import Foundation
import OrderRows
import PaymentCore
import PaymentEngine

struct ArchiveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "archive", abstract: "Move old orders out of the store into a file, and back.",
    subcommands: [Write.self, List.self, Verify.self, Restore.self], defaultSubcommand: Write.self)

  struct Write: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Move orders at rest that have not changed for some days into a new file.",
      discussion: """
        One JSON object a line and order, as `payonce export` writes it, with what brings the order back. It may run beside \
        the server, and be interrupted: an order leaves the store once it is on disk in the file. Keep the file as you keep \
        a backup. What stays in the store is that the order was paid or closed, so that its reference is never another \
        order's; everything else about it is answered with `order_archived` until it is brought back.
        """)

    @Option(help: "Orders that have not changed for this many days.")
    var olderThan: Int
    @Option(help: "The file to make, such as archive-2026-11.jsonl.")
    var to: String
    @Flag(help: "Allow less than 30 days.")
    var evenRecent = false
    @OptionGroup var store: StoreOption

    /// How many orders are moved in one transaction, for which the payments of an embedded store wait.
    private static let page = 100

    func run() async throws {
      try await reporting {
        guard (0...36_500).contains(olderThan) else { throw SetupError("--older-than must be 0 to 36500 days.") }
        guard olderThan >= 30 || evenRecent else {
          throw SetupError(
            "Orders of the last 30 days may still be refunded, and their events be read by their shops. Say --even-recent "
              + "if you mean them, too.")
        }
        let opened = try store.location().openExisting()
        let writer = try ArchiveWriter(to)
        var isNeeded = false
        defer { if !isNeeded { unlink(to) } }
        let now = SystemClock().now()
        if let lead = try opened.writing[0].find([]).clockLead, abs(lead.components.seconds) >= 10 {
          throw SetupError(
            "The clock of this machine differs from the database's by \(lead.components.seconds) s, so that young orders "
              + "could pass for old ones. Set it right first.")
        }
        let end = now.advanced(by: .seconds(-86_400 * olderThan))
        // First, so that a shop whose events are moved now hears of it, and does not find places without events.
        for merchant in try await opened.directory.merchants() {
          while try await opened.archiving.dropFeed(of: merchant.id, before: end) {}
        }
        let id = String(format: "%016llx", SystemRandomness().next())
        let unreadable = try await move(opened, before: end, at: now, id, writer, &isNeeded)
        if isNeeded, let archive = try await opened.archiving.archives().first(where: { $0.id == id }) {
          announce("moved \(archive.orders) orders into archive \(archive.number): \(archive.name)")
        } else {
          announce("there is no order at rest that has not changed since \(end.rfc3339)")
        }
        guard unreadable == 0 else {
          explain("\(unreadable) orders cannot be read by this release, and stay: `payonce show` says more")
          throw ExitCode(1)
        }
      }
    }

    /// - Parameters:
    ///   - id: of the archive.
    ///   - isNeeded: set once the file may hold what is nowhere else.
    /// - Returns: how many orders stay since they cannot be read.
    private func move(
      _ opened: OpenedStore, before end: Instant, at now: Instant, _ id: String, _ writer: ArchiveWriter,
      _ isNeeded: inout Bool
    ) async throws -> Int {
      var (writer, number) = (writer, 0)
      var last: OrderID?
      var (seen, unreadable) = (0, 0)
      while true {
        let orders = try await opened.stored.stored(after: last, limit: Self.page)
        // Ids begin with their time.
        guard let first = orders.first?.id, first.time < end else { return unreadable }
        last = orders.last?.id
        unreadable += orders.count { !$0.isWhole }
        let settled = orders.filter { $0.isAtRest(before: end) }
        let lines = try settled.map { order in
          guard let line = ArchiveLine.sound(order) else {
            throw SetupError("\(order.id.text) cannot be written and read back. It stays, and so does what is newer.")
          }
          return line
        }
        if settled.isEmpty { continue }
        if !isNeeded {
          let path = to.hasPrefix("/") ? to : FileManager.default.currentDirectoryPath + "/" + to
          number = try await opened.archiving.begin(id, name: path, at: now, writer.end)
          isNeeded = true
          try writer.append([ArchiveHead(id: id).text])
        }
        try writer.append(lines)
        try await opened.archiving.move(settled, into: number, id, writer.end, at: now)
        seen += settled.count
        if seen / 10_000 > (seen - settled.count) / 10_000 { explain("\(seen) orders are in \(to)") }
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the archives of a store.",
      discussion: "The number, when it was made, how many orders were moved into it, its size, SHA-256 and file.")
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        for archive in try await store.location().openExisting().archiving.archives() {
          let fields = [
            "\(archive.number)", archive.begunAt.rfc3339, "\(archive.orders)", "\(archive.bytes)",
            StateValue.bytes(archive.sha256).plainText, archive.name.harmless("?"),
          ]
          announce(fields.joined(separator: "\t"))
        }
      }
    }
  }

  struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read an archive to its end, and compare it with what the store knows of it.")
    @Argument(help: "The file.")
    var file: String
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        var (reader, archive) = try await ArchiveCommand.find(file, try store.location().openExisting())
        let count = try ArchiveCommand.verify(&reader, archive, file)
        // Lines of orders that changed while they were written, or that another run moved, count for nothing.
        let others =
          count == archive.orders ? "" : ", and \(count - archive.orders) lines of orders that were not moved"
        announce(
          count == 0
            ? "archive \(archive.number): nothing was moved into it"
            : "archive \(archive.number): \(archive.orders) orders\(others), \(archive.bytes) bytes as they were written"
        )
        if reader.size > archive.bytes { announce("the \(reader.size - archive.bytes) bytes behind them do not count") }
      }
    }
  }

  struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Bring orders back into the store, as they were when they were moved.",
      discussion: """
        The archive is verified first, and stays as it is. It may run beside the server. Events that a shop has not read \
        from the feed before do not come back into it; those of the order itself do.
        """)
    @Argument(help: "The file.")
    var file: String
    @Argument(help: "The orders, by their ids, or with --merchant by the shop's own numbers.")
    var orders: [String] = []
    @Flag(help: "All that are in it, of all merchants.")
    var all = false
    @Option(help: "The merchant, by name, whose own numbers they are.")
    var merchant: String?
    @OptionGroup var store: StoreOption

    /// How many orders are brought back in one transaction.
    private static let page = 100

    func run() async throws {
      try await reporting {
        guard all ? orders.isEmpty && merchant == nil : !orders.isEmpty else {
          throw SetupError("Name the orders, by their ids, or with --merchant by the shop's own numbers; or say --all.")
        }
        let opened = try store.location().openExisting()
        var missing = Set(try await wanted(opened))
        var (reader, archive) = try await ArchiveCommand.find(file, opened)
        _ = try ArchiveCommand.verify(&reader, archive, file)
        try reader.begin(upTo: archive.bytes)
        var (count, stored, elsewhere) = (0, 0, 0)
        while true {
          var page: [StoredOrder] = []
          while page.count < Self.page, let order = try reader.next() {
            if all || missing.remove(order.id) != nil { page.append(order) }
          }
          if page.isEmpty { break }
          let back = try await opened.archiving.bringBack(page, from: archive.number)
          count += back.count
          for order in page where !back.contains(order.id) {
            guard let archived = try await opened.reading.archived(.id(order.id)) else {
              stored += 1
              continue
            }
            elsewhere += 1
            if !all { explain("\(order.id.text) was moved into archive \(archived.archive) since") }
          }
        }
        announce("brought back \(count) orders from archive \(archive.number)")
        if stored > 0 { announce("\(stored) are in the store already") }
        if elsewhere > 0 { announce("\(elsewhere) are in other archives of this store") }
        for id in missing.sorted() {
          if let archived = try await opened.reading.archived(.id(id)) {
            explain("\(id.text) is in archive \(archived.archive), not in this one: see `payonce archive list`")
          } else {
            explain("\(id.text) is not in this archive")
          }
        }
        if !missing.isEmpty || elsewhere > 0 && !all { throw ExitCode(2) }
      }
    }

    private func wanted(_ opened: OpenedStore) async throws -> [OrderID] {
      guard let merchant else { return try orders.map { try OrderID(named: $0) } }
      let known = try await MerchantsCommand.merchant(named: merchant, opened.directory)
      var ids: [OrderID] = []
      for reference in orders {
        let name = OrderName.number(Numbering.sha256.order(known.id, reference))
        let archived = try await opened.reading.archived(name)?.id
        guard let id = if let archived { archived } else { try await opened.stored.stored(name)?.id } else {
          throw SetupError("There never was an order of \(merchant) with this number: \(reference)")
        }
        ids.append(id)
      }
      return ids
    }
  }

  /// What the store knows of an archive.
  private static func find(_ file: String, _ opened: OpenedStore) async throws -> (ArchiveReader, Archive) {
    let reader = try ArchiveReader(file)
    guard let archive = try await opened.archiving.archives().first(where: { $0.id == reader.head.id }) else {
      throw SetupError(
        "This store knows of no such archive: it is another store's, or this one was restored from a backup "
          + "that is older, and has the orders itself.")
    }
    return (reader, archive)
  }

  /// - Returns: how many orders it holds.
  private static func verify(_ reader: inout ArchiveReader, _ archive: Archive, _ file: String) throws -> Int {
    try reader.begin(upTo: archive.bytes)
    var count = 0
    while try reader.next() != nil { count += 1 }
    guard reader.sha256 == archive.sha256 else {
      throw SetupError(
        "\(file) is not what was written into archive \(archive.number): it was changed, or cut off. Take another copy of it."
      )
    }
    return count
  }
}
