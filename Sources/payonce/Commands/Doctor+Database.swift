import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import PaymentCore
import PaymentEngine
import PostgresStore

/// Checks whether PostgreSQL keeps safe what it acknowledges, as far as that shows from here.
extension DoctorCommand {
  func checkDatabase(_ address: PostgresAddress, _ client: HTTPClient) async -> ([Finding], id: String?) {
    let clock = SystemClock()
    let inspection: PostgresInspection
    let id = "doctor-\(UUID().uuidString.lowercased())"
    do throws(Fault) {
      inspection = try PostgresInspection(address, id: id, clock: clock)
    } catch {
      let complaint =
        "store: \(address.shown) cannot be reached (\(error.reason)). Is a primary running, and may we connect?"
      return ([.broken(complaint)], nil)
    }
    let (orders, storeID) = await Self.orders(inspection, address, id: id)
    let findings =
      Self.writing(inspection, address) + Self.durability(inspection) + Self.copies(inspection)
      + [Self.connections(inspection), Self.clock(inspection)] + orders + (await checkPatroni(address, client))
    return (findings, storeID)
  }

  /// Looks at the orders, unless the database cannot be written: a primary that waits for its standbys in vain is
  /// reported by another finding.
  private static func orders(
    _ inspection: PostgresInspection, _ address: PostgresAddress, id: String
  ) async -> ([Finding], id: String?) {
    guard inspection.keys != nil, case .success = inspection.writing else { return ([], nil) }
    let clock = SystemClock()
    let readers = PostgresReaders(address, id: id, patience: Limits().storePatience, clock: clock, count: 1)
    do throws(Fault) {
      let findings = [try unreadable(PostgresStore(address, id: id, clock: clock))]
      // A database of an older payonce has no store id yet.
      return (findings + (await waiting(PostgresReading(readers))), try? await PostgresDirectory(readers).storeID())
    } catch { return ([.broken("orders: cannot be looked at (\(error.reason))")], nil) }
  }

  private static func writing(_ inspection: PostgresInspection, _ address: PostgresAddress) -> [Finding] {
    let store = "store: \(address.shown), PostgreSQL \(inspection.settings["server_version"] ?? "?")"
    guard let keys = inspection.keys else {
      return [.warning("\(store), is empty; `payonce serve` or `payonce keys create` makes its tables")]
    }
    switch inspection.writing {
    case .success(let time):
      return [.fine("\(store), a write was acknowledged after \(Int(time / .milliseconds(1))) ms"), Self.keys(keys)]
    case .failure(let fault): return [.broken("\(store), cannot be written (\(fault.reason))")]
    }
  }

  private static func durability(_ inspection: PostgresInspection) -> [Finding] {
    var findings: [Finding] = []
    for name in ["fsync", "full_page_writes"] where inspection.settings[name] == "off" {
      findings.append(.broken("\(name): off; a power cut can destroy the database. Set it to on"))
    }
    return findings
  }

  private static func copies(_ inspection: PostgresInspection) -> [Finding] {
    let names = inspection.settings["synchronous_standby_names"] ?? ""
    let commit = inspection.settings["synchronous_commit"] ?? "on"
    guard !names.isEmpty else {
      return [
        .warning(
          "copies: one; what was acknowledged is lost with its disk. For fail-over without loss run two standbys with "
            + "synchronous_standby_names = 'ANY 1 (…)'")
      ]
    }
    guard commit != "local" else {
      return [.broken("synchronous_commit: local; commits do not wait for \(names). Set it to on")]
    }
    guard let connected = inspection.synchronousStandbys else {
      return [.warning("copies: \(names); whether they are connected is not told to this user: GRANT pg_monitor to it")]
    }
    // The formats are `ANY 2 (a, b, c)`, `FIRST 2 (a, b, c)` and `2 (a, b, c)`. Without a number one standby is needed.
    let needed = names.firstMatch(of: /^\s*(?:ANY|FIRST)?\s*(\d+)\s*\(/.ignoresCase()).flatMap { Int($0.1) } ?? 1
    if connected < needed {
      return [
        .broken("copies: \(names), and \(connected) connected; commits wait until there are \(needed). Start them")
      ]
    }
    if connected == needed {
      return [
        .warning(
          "copies: \(names), and \(connected) connected; unless another one is named in its place, payments stop when one "
            + "stops. Start another")
      ]
    }
    return [.fine("copies: \(names), and \(connected) connected")]
  }

  private static func connections(_ inspection: PostgresInspection) -> Finding {
    guard let limit = inspection.settings["max_connections"].flatMap(Int.init), let count = inspection.connections
    else { return .fine("connections: not told by this server") }
    // A node takes one connection for each lane, and four readers.
    return count + 10 > limit
      ? .warning(
        "connections: \(count) of \(limit) in use; raise max_connections, a node takes 6 or more")
      : .fine("connections: \(count) of \(limit) in use")
  }

  private static func clock(_ inspection: PostgresInspection) -> Finding {
    let milliseconds = Int(inspection.clockLead / .milliseconds(1))
    let tolerance = Int(Schedule().clockTolerance / .milliseconds(1))
    if abs(milliseconds) > tolerance {
      return .broken(
        "clock: the database's is \(milliseconds) ms ahead of this machine's; a node decides nothing beyond \(tolerance) ms. "
          + "Set the date right (chronyc makestep)")
    }
    return abs(milliseconds) > 1000
      ? .warning("clock: the database's is \(milliseconds) ms ahead of this machine's; keep both in time (chrony)")
      : .fine("clock: within \(abs(milliseconds)) ms of the database's")
  }

  // MARK: Patroni

  private struct Patroni: Decodable {
    struct Own: Decodable { let version: String }
    let patroni: Own
  }

  private func checkPatroni(_ address: PostgresAddress, _ client: HTTPClient) async -> [Finding] {
    let urls = patroni.map { [$0] } ?? address.hosts.map { "http://\($0):8008" }
    var findings: [Finding] = []
    for url in urls {
      guard let data = await Self.body(url + "/patroni", client),
        let status = try? JSONDecoder().decode(Patroni.self, from: data)
      else {
        if patroni != nil { findings.append(.broken("patroni: nothing answers on \(url)/patroni")) }
        continue
      }
      let version = status.patroni.version
      // In older versions a primary that was frozen and thawed could take the leader's key back, and acknowledged
      // commits were rewound: patroni #2689, seen in 3 of 14 freezes with 3.0.2 on etcd's v3 interface.
      if version.compare("3.0.3", options: .numeric) == .orderedAscending {
        findings.append(
          .broken(
            "patroni: \(version) on \(url) can lose acknowledged commits when a primary freezes. Take 3.0.3 or later"))
      } else {
        findings.append(.fine("patroni: \(version) on \(url)"))
      }
      guard let data = await Self.body(url + "/config", client),
        let settings = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
      else { continue }
      let isSynchronous = settings["synchronous_mode"] as? Bool ?? (settings["synchronous_mode"] as? String == "quorum")
      if !isSynchronous || settings["synchronous_mode_strict"] as? Bool != true {
        findings.append(
          .warning(
            "patroni: set synchronous_mode and synchronous_mode_strict, or a lone survivor acknowledges with one copy"))
      }
    }
    return findings
  }

  private static func body(_ url: String, _ client: HTTPClient) async -> Data? {
    guard let response = try? await client.execute(HTTPClientRequest(url: url), timeout: .seconds(1)),
      response.status == .ok, let body = try? await response.body.collect(upTo: 65_536)
    else { return nil }
    return Data(body.readableBytesView)
  }
}
