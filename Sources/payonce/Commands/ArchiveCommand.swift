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
        let now = SystemClock().now()
        let end = now.advanced(by: .seconds(-86_400 * olderThan))
        let (archive, unreadable) = try await move(opened, before: end, at: now)
        for merchant in try await opened.directory.merchants() {
          while try await opened.archiving.dropFeed(of: merchant.id, before: end) {}
        }
        if let archive {
          let count = try await opened.archiving.archives().first { $0.number == archive }?.orders ?? 0
          announce("moved \(count) orders into archive \(archive): \(to)")
        } else {
          announce("there is no order at rest that has not changed since \(end.rfc3339)")
        }
        guard unreadable == 0 else {
          explain("\(unreadable) orders cannot be read by this release, and stay: `payonce show` says more")
          throw ExitCode(1)
        }
      }
    }

    /// - Returns: the archive's number, if there was anything to move.
    private func move(
      _ opened: OpenedStore, before end: Instant, at now: Instant
    ) async throws -> (archive: Int?, unreadable: Int) {
      var last: OrderID?
      var open: (ArchiveWriter, Int)?
      var unreadable = 0
      while true {
        let orders = try await opened.stored.stored(after: last, limit: Self.page)
        // Ids begin with their time.
        guard let first = orders.first?.id, first.time < end else { break }
        last = orders.last?.id
        unreadable += orders.count { $0.order == nil || !$0.hasWholeEvents }
        let settled = orders.filter { $0.isAtRest(before: end) }
        if settled.isEmpty { continue }
        if open == nil { open = try await begin(opened, at: now) }
        var (writer, number) = open!
        try writer.append(settled.map { ArchiveLine($0).text })
        try await opened.archiving.move(
          settled, into: number, bytes: writer.bytes, sha256: writer.sha256, at: now)
        open = (writer, number)
      }
      return (open?.1, unreadable)
    }

    private func begin(_ opened: OpenedStore, at now: Instant) async throws -> (ArchiveWriter, Int) {
      var writer = try ArchiveWriter(to)
      do {
        let store = try await opened.directory.storeID()
        let number = try await opened.archiving.begin(
          (to as NSString).lastPathComponent, at: now, sha256: writer.sha256)
        try writer.append([ArchiveHead(store: store, number: number).text])
        return (writer, number)
      } catch let fault as Fault {
        unlink(to)
        throw fault
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
            StateValue.bytes(archive.sha256).plainText, archive.name,
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
        announce("archive \(archive.number): \(count) orders in \(archive.bytes) bytes, as they were moved")
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
    @Argument(
      help: "The orders, by their ids, or with --merchant by the shop's own numbers. All of them when none is named.")
    var orders: [String] = []
    @Option(help: "The merchant, by name, whose own numbers they are.")
    var merchant: String?
    @OptionGroup var store: StoreOption

    /// How many orders are brought back in one transaction.
    private static let page = 100

    func run() async throws {
      try await reporting {
        let opened = try store.location().openExisting()
        var missing = Set(try await wanted(opened))
        let isAll = missing.isEmpty
        var (reader, archive) = try await ArchiveCommand.find(file, opened)
        _ = try ArchiveCommand.verify(&reader, archive, file)
        try reader.begin(upTo: archive.bytes)
        var (found, count) = (0, 0)
        while true {
          var page: [StoredOrder] = []
          while page.count < Self.page, let order = try reader.next() {
            if isAll || missing.remove(order.id) != nil { page.append(order) }
          }
          if page.isEmpty { break }
          found += page.count
          count += try await opened.archiving.bringBack(page, from: archive.number)
        }
        announce("brought back \(count) orders from archive \(archive.number)")
        if count < found { announce("\(found - count) are in the store already") }
        guard missing.isEmpty else {
          throw SetupError("Not in this archive: \(missing.map(\.text).sorted().joined(separator: " ")).")
        }
      }
    }

    /// None for all.
    private func wanted(_ opened: OpenedStore) async throws -> [OrderID] {
      guard let merchant else { return try orders.map { try OrderID(named: $0) } }
      let known = try await MerchantsCommand.merchant(named: merchant, opened.directory)
      var ids: [OrderID] = []
      for reference in orders {
        guard let order = try await opened.reading.archived(.reference(known.id, reference)) else {
          throw SetupError("No order of \(merchant) with this number was moved into an archive: \(reference)")
        }
        ids.append(order.id)
      }
      return ids
    }
  }

  /// What the store knows of an archive.
  private static func find(_ file: String, _ opened: OpenedStore) async throws -> (ArchiveReader, Archive) {
    let reader = try ArchiveReader(file)
    let store = try await opened.directory.storeID()
    guard reader.head.store == store else {
      throw SetupError(
        "\(file) is an archive of another store, \(reader.head.store). This one is \(store). Name the store with --store."
      )
    }
    guard let archive = try await opened.archiving.archives().first(where: { $0.number == reader.head.number }) else {
      throw SetupError(
        "The store knows of no archive \(reader.head.number). If it was restored from an older backup, its orders are still in it."
      )
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
