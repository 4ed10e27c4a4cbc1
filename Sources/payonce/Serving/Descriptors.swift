import Foundation
import Listener
import Logging

/// Divides the files and connections that this process may have open among its parts. A process that has none left
/// cannot open a file, and the run-time library ends it.
struct Descriptors {
  let limit: Int

  static let all = raised()

  private static func raised() -> Descriptors {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limits = rlimit()
    getrlimit(resource, &limits)
    let old = limits
    limits.rlim_cur = limits.rlim_max
    if setrlimit(resource, &limits) != 0 { limits = old }
    return Descriptors(limit: Int(clamping: min(limits.rlim_cur, 1 << 20)))
  }

  /// Kept free for the stores, the event loops, the log, and what the system's libraries open.
  private func reserve(lanes: Int) -> Int { 64 + 4 * ProcessInfo.processInfo.activeProcessorCount + lanes }

  /// How many connections to providers.
  var calls: Int { min(256, limit / 8) }

  /// How many connections to a sandbox bank in this process.
  var bankPlaces: Int { min(1024, limit / 8) }

  /// How many connections to the gate.
  /// - Parameter hasBank: whether a bank listens in this process.
  /// - Throws: `SetupError` when fewer than 16 are left.
  func gatePlaces(lanes: Int, hasBank: Bool) throws -> Int {
    let others = calls + (hasBank ? bankPlaces + Listener.margin : 0)
    return try places(beside: reserve(lanes: lanes) + others, atMost: 8192)
  }

  /// How many connections to a bank that has a process of its own.
  /// - Throws: `SetupError` when fewer than 16 are left.
  func bankAlonePlaces() throws -> Int { try places(beside: reserve(lanes: 1) + calls, atMost: 1024) }

  private func places(beside others: Int, atMost most: Int) throws -> Int {
    let left = min(most, limit - others - Listener.margin)
    guard left >= 16 else {
      throw SetupError("Only \(limit) files and connections may be open at once, which is too few. \(Self.advice)")
    }
    return left
  }

  /// Warns when the limit is below `few`.
  func warn(_ places: Int, _ logger: Logger) {
    guard limit < Self.few else { return }
    logger.warning("only \(limit) files may be open, so \(places) connections at once. \(Self.advice)")
  }

  /// Below this limit a busy shop may be turned away.
  static let few = 4096
  /// This limit is enough for every bound of this program.
  static let enough = 16_384
  static let advice =
    "Allow \(enough): LimitNOFILE=\(enough) in a systemd unit, --ulimit nofile=\(enough) of a container, ulimit -Hn in a "
    + "shell."
}
