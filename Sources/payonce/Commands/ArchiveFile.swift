import Crypto
import Foundation
import OrderRows
import PaymentCore

/// A file of orders: a line that says whose it is, and then a JSON object a line and order. Each is as `payonce export`
/// writes it, followed by what brings it back as it was.
struct ArchiveLine {
  /// What stands in the store of one order.
  let order: StoredOrder

  init(_ order: StoredOrder) { self.order = order }

  var text: String {
    var writer = RecordWriter(showsSecrets: false)
    writer.record(order.record)
    let events = order.packs.map { "[\($0.first),\"\(Data($0.bytes).base64EncodedString())\"]" }
    let state = Data(order.state).base64EncodedString()
    return writer.text.dropLast()
      + ",\"stored\":{\"state\":\"\(state)\",\"events\":[\(events.joined(separator: ","))]}}"
  }

  /// The line of an order, if it can be read back as what it was made of.
  static func sound(_ order: StoredOrder) -> String? {
    let text = ArchiveLine(order).text
    guard text.utf8.count < ArchiveReader.limit, let read = ArchiveLine(Data(text.utf8))?.order,
      read.cells == order.cells,
      read.packs.elementsEqual(order.packs, by: ==)
    else { return nil }
    return text
  }

  /// `nil` for a line that is none, or whose order this release cannot read.
  init?(_ line: Data) {
    guard let record = try? JSONSerialization.jsonObject(with: line) as? [String: Any],
      let stored = record["stored"] as? [String: Any], let events = stored["events"] as? [[Any]]
    else { return nil }
    let cells = Columns.orders.all.map { column -> Cell? in
      let value = record[column.text]
      return switch column.text {
      case "id": (value as? String).flatMap { OrderID(text: $0) }.map(\.cell)
      case "number":
        Numbering.sha256.order(
          MerchantID(record["merchant"] as? String ?? ""), record["reference"] as? String ?? ""
        ).cell
      case "state": (stored["state"] as? String).flatMap { Data(base64Encoded: $0) }.map { .bytes(Array($0)) }
      default: (value as? String).map(Cell.text) ?? (value as? NSNumber).map { .integer($0.int64Value) }
      }
    }
    guard var order = try? StoredOrder(CellRow(cells: cells)), order.order != nil else { return nil }
    for event in events {
      guard event.count == 2, let first = (event[0] as? NSNumber)?.int64Value,
        let bytes = (event[1] as? String).flatMap({ Data(base64Encoded: $0) })
      else { return nil }
      order.addEvents(CellRow(cells: [order.id.cell, .integer(first), .bytes(Array(bytes))]))
    }
    guard order.isWhole else { return nil }
    self.order = order
  }
}

/// A row that is in no store.
private struct CellRow: ResultRow {
  let cells: [Cell?]

  func isNull(at index: Int) -> Bool { cells[index] == nil }
  func integer(at index: Int) -> Int64? { if case .integer(let value)? = cells[index] { value } else { nil } }
  func text(at index: Int) -> String? { if case .text(let text)? = cells[index] { text } else { nil } }
  func bytes(at index: Int) -> [UInt8]? { if case .bytes(let bytes)? = cells[index] { bytes } else { nil } }
}

/// The first line of an archive.
struct ArchiveHead: Codable {
  /// Which kind of file it is, and how it is written.
  var format = Self.known
  /// By which a store knows it.
  let id: String

  private static let known = "payonce archive 1"

  init(id: String) { self.id = id }

  /// - Throws: `SetupError` for what is no archive, or one that this release cannot read.
  init(_ line: Data, of path: String) throws {
    guard let head = try? JSONDecoder().decode(ArchiveHead.self, from: line), head.format == Self.known else {
      throw SetupError("\(path) is no archive of PayOnce's, or one that only a newer release can read.")
    }
    self = head
  }

  var text: String { "{\"format\":\"\(format)\",\"id\":\"\(id)\"}" }
}

/// An archive as it is written: always a new file, and on disk before anybody relies on it.
struct ArchiveWriter {
  private let file: FileHandle
  private let path: String
  private var hash = SHA256()
  private var bytes = 0

  /// - Throws: `SetupError` where there is such a file already, or none can be made.
  init(_ path: String) throws {
    // A folder is not made: it may be the place of a disk that is not there.
    let descriptor = Glibc.open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw SetupError(
        errno == EEXIST
          ? "\(path) is there already. An archive is always a new file: choose another name with --to."
          : "The file \(path) cannot be made: \(lastError). Name one in a folder that is there, with --to.")
    }
    file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    self.path = path
    // Its name is to survive a power cut, too.
    let parent = Glibc.open(folder(of: path), O_RDONLY | O_CLOEXEC)
    guard parent >= 0 else { throw failure }
    defer { close(parent) }
    guard fsync(parent) == 0 else { throw failure }
  }

  /// Adds lines, and returns when they are on disk.
  mutating func append(_ lines: [String]) throws {
    let data = Data((lines.joined(separator: "\n") + "\n").utf8)
    guard (try? file.write(contentsOf: data)) != nil, fsync(file.fileDescriptor) == 0 else { throw failure }
    hash.update(data: data)
    bytes += data.count
  }

  /// Of all that was added.
  var end: ArchiveEnd { ArchiveEnd(bytes: bytes, sha256: Array(hash.finalize())) }

  private var failure: SetupError {
    SetupError(
      "\(path) cannot be written: \(lastError). What it does not hold is still in the store. Once there is room, run this "
        + "again with another file, and keep this one.")
  }
}

/// An archive as it is read.
struct ArchiveReader {
  private let path: String
  private let file: FileHandle
  private var lines = 0
  private var buffer = Data()
  private var hash = SHA256()
  /// How many bytes are still to be read from the file.
  private var left = 0
  let head: ArchiveHead
  /// Of the file, in bytes.
  let size: Int

  /// Of a line, in bytes: far more than an order with all of its events.
  static let limit = 64 << 20

  /// - Throws: `SetupError` where it cannot be read, or is none.
  init(_ path: String) throws {
    guard let file = FileHandle(forReadingAtPath: path) else {
      throw SetupError("The file \(path) cannot be read: \(lastError).")
    }
    guard let size = try? file.seekToEnd(), (try? file.seek(toOffset: 0)) != nil else {
      throw SetupError("\(path) cannot be read from its beginning: it must be a file.")
    }
    guard size > 0 else {
      throw SetupError("\(path) is empty: it is left of a run that was interrupted before it moved anything.")
    }
    let first = (try? file.read(upToCount: 1024)) ?? Data()
    guard !first.starts(with: [0x1F, 0x8B]) else {
      throw SetupError("\(path) is compressed. Unpack it first: gunzip -k.")
    }
    (self.path, self.file, self.size) = (path, file, Int(size))
    head = try ArchiveHead(first.prefix { $0 != UInt8(ascii: "\n") }, of: path)
  }

  /// Begins to read the orders that are in the first bytes.
  mutating func begin(upTo end: Int) throws {
    (lines, buffer, hash, left) = (0, Data(), SHA256(), end)
    guard (try? file.seek(toOffset: 0)) != nil else {
      throw SetupError("The file \(path) cannot be read: \(lastError).")
    }
    _ = try nextLine()
  }

  /// - Returns: the next order; `nil` at the end.
  mutating func next() throws -> StoredOrder? {
    guard let line = try nextLine() else { return nil }
    guard let read = ArchiveLine(line) else {
      throw SetupError("Line \(lines) of \(path) is spoilt, or can only be read by a newer release.")
    }
    return read.order
  }

  /// Of what was read.
  var sha256: [UInt8] { Array(hash.finalize()) }

  private mutating func nextLine() throws -> Data? {
    var searched = 0
    while true {
      if let newline = buffer.dropFirst(searched).firstIndex(of: UInt8(ascii: "\n")) {
        defer { buffer = buffer[(newline + 1)...] }
        lines += 1
        return buffer[..<newline]
      }
      searched = buffer.count
      guard searched <= Self.limit else { throw SetupError("\(path) has a line that is too long.") }
      guard left > 0, let data = try? file.read(upToCount: min(left, 1 << 18)), !data.isEmpty else { return nil }
      hash.update(data: data)
      left -= data.count
      buffer = buffer + data
    }
  }
}
