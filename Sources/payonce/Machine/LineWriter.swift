import Foundation

/// Writes the lines of all threads to standard error, from a thread of its own, many with one system call: a call for each
/// line cost a fifth of the requests. A line waits for others a moment at most, an urgent one for none, and the end of the
/// program for all. When nobody reads them, lines are dropped and counted, and the work goes on.
final class LineWriter: @unchecked Sendable {
  static let standardError: LineWriter = {
    // Also when a command ends by `exit`.
    atexit { LineWriter.standardError.flush() }
    return LineWriter()
  }()

  /// How long a line waits for others, in seconds.
  private static let window = 0.02
  /// How many bytes wait for others at most, and how many for a reader.
  private static let (enough, limit) = (64 << 10, 4 << 20)

  private let condition = NSCondition()
  // Guarded by `condition`.
  private var lines: [UInt8] = []
  private var dropped = 0
  private var isUrgent = false
  private var isWriting = false

  private init() {
    let thread = Thread { [self] in
      Thread.current.name = "log"
      while true { write() }
    }
    thread.start()
  }

  /// - Parameter isUrgent: whether it is written at once, and with it what waits.
  func add(_ line: String, isUrgent: Bool) {
    condition.lock()
    defer { condition.unlock() }
    let wasEmpty = lines.isEmpty
    if lines.count + line.utf8.count > Self.limit { dropped += 1 } else { lines.append(contentsOf: line.utf8) }
    if isUrgent { self.isUrgent = true }
    if wasEmpty || isUrgent || lines.count >= Self.enough { condition.broadcast() }
  }

  /// Returns when all lines are written, or nobody has read them for two seconds.
  func flush() {
    condition.lock()
    defer { condition.unlock() }
    let end = Date(timeIntervalSinceNow: 2)
    isUrgent = true
    condition.broadcast()
    while !lines.isEmpty || isWriting { guard condition.wait(until: end) else { return } }
  }

  private func write() {
    condition.lock()
    while lines.isEmpty { condition.wait() }
    let end = Date(timeIntervalSinceNow: Self.window)
    while !isUrgent, lines.count < Self.enough, condition.wait(until: end) {}
    var some = lines[...]
    if dropped > 0 { some += Array("payonce: \(dropped) lines of the log were dropped, since nobody read them\n".utf8) }
    lines = []
    lines.reserveCapacity(Self.enough)
    (dropped, isUrgent, isWriting) = (0, false, true)
    condition.unlock()
    while !some.isEmpty {
      let written = some.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { break }
      some = some.dropFirst(written)
    }
    condition.lock()
    isWriting = false
    condition.broadcast()
    condition.unlock()
  }
}
