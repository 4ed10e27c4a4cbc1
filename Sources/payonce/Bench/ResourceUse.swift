import Foundation

/// What the machine has spent so far, as Linux counts it. Differences are what a measurement cost.
struct ResourceUse {
  /// Nanoseconds of the processor that the threads of lanes took.
  private let lanes: Int64
  /// Nanoseconds of the processor that all threads of the server took, if it is one's own.
  private let server: Int64?
  /// Bytes that this process has written, to whatever it writes to.
  private let written: Int64
  /// Nanoseconds of the processor that PostgreSQL's processes on this machine took.
  private let postgres: Int64
  /// Bytes of PostgreSQL's log.
  private let log: Int64?

  /// - Parameters:
  ///   - server: a process whose lanes count instead of this one's.
  ///   - log: where PostgreSQL's log ends, if there is one.
  init(server: Int32? = nil, log: Int64? = nil) {
    let process = "/proc/" + (server.map { "\($0)" } ?? "self")
    let threads = Self.folders(process + "/task")
    lanes = Self.processor(of: threads.filter { Self.text($0 + "/comm").hasPrefix("lane ") })
    self.server = server.map { _ in Self.processor(of: threads) }
    let counts = Self.text(process + "/io").split(separator: "\n").map { $0.split(separator: " ") }
    written = counts.first { $0.first == "wchar:" }.flatMap { Int64($0[1]) } ?? 0
    postgres = Self.processor(of: Self.folders("/proc").filter { Self.text($0 + "/comm") == "postgres\n" })
    self.log = log
  }

  /// What was spent since, for each of so many payments.
  func perPayment(since before: ResourceUse, _ payments: Int) -> String {
    let count = Double(payments)
    var text = String(format: "lanes %5.1f us", Double(lanes - before.lanes) / 1000 / count)
    if let server, let start = before.server {
      text = String(format: "server %5.1f us, its ", Double(server - start) / 1000 / count) + text
    }
    if let log, let start = before.log {
      text += String(format: "  PostgreSQL %5.1f us", Double(postgres - before.postgres) / 1000 / count)
      text += String(format: "  log %5.0f bytes", Double(log - start) / count)
    } else {
      text += String(format: "  written %5.0f bytes", Double(written - before.written) / count)
    }
    return text
  }

  private static func folders(_ path: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).map { path + "/" + $0 }
  }

  private static func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

  private static func processor(of folders: [String]) -> Int64 {
    folders.reduce(0) { sum, folder in
      sum + (text(folder + "/schedstat").split(separator: " ").first.flatMap { Int64($0) } ?? 0)
    }
  }
}
