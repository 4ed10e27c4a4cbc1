import ArgumentParser
import AsyncHTTPClient
import Contract
import Foundation
import NIOCore
import NIOHTTP1
import PaymentEngine
import Providers

struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Say what is wrong with this deployment, and how to mend it.",
    discussion: "Takes the options of `serve` that it looks at. Exits 1 when something must be mended.")

  @Option(help: "Where the server listens. (default: 127.0.0.1:8080)")
  var listen: String?
  @OptionGroup var store: StoreOption
  @Option(help: "The address at which buyers reach the server.")
  var publicURL: String?
  @Option(help: "The sandbox bank that the server uses.")
  var bank: String?
  @Option(help: "Whether the server has the sandbox bank as a provider: on or off.")
  var sandbox: String?
  @Option(help: "Whether the server has the demo shop: on or off.")
  var demo: String?
  @Option(help: "Patroni's own address, where it manages the database. (default: port 8008 of each of its servers)")
  var patroni: String?

  enum Finding {
    case fine(String)
    case warning(String)
    case broken(String)
  }

  func run() async throws {
    // One that does not try again what was refused.
    let findings = try await Wire.withClient(connections: 8) { client in
      await checkStore(client) + checkFiles() + checkAddresses() + checkServer(client) + checkBank(client)
    }
    var isBroken = false
    for finding in findings {
      switch finding {
      case .fine(let text): announce("ok       \(text)")
      case .warning(let text): announce("warning  \(text)")
      case .broken(let text):
        announce("BROKEN   \(text)")
        isBroken = true
      }
    }
    if isBroken { throw ExitCode(1) }
  }

  private func checkStore(_ client: HTTPClient) async -> [Finding] {
    do {
      switch try store.location() {
      case .sqlite(let path): return await checkFile(path)
      case .postgres(let address): return await checkDatabase(address, client)
      }
    } catch { return [.broken("store: \(error)")] }
  }

  private func checkFile(_ path: String) async -> [Finding] {
    do {
      let isNew = !FileManager.default.fileExists(atPath: path)
      if isNew {
        return [.warning("store: \(path) does not exist yet; `payonce serve` or `payonce keys create` makes it")]
      }
      let opened = try store.location().open()
      var findings: [Finding] = [.fine("store: \(path) opens, with a durable write-ahead log and the current schema")]
      // A full or read-only disk shows only when something is written.
      do throws(Fault) {
        let store = opened.writing[0]
        let unreadable = try Self.unreadable(store)
        var changes = Changeset()
        changes.probe = SystemClock().now()
        _ = try store.load([])
        try store.save(changes)
        findings += [.fine("store: can be written"), unreadable]
      } catch {
        findings.append(
          .broken("store: cannot be written (\(error)); check the disk's space and the file's permissions"))
      }
      let folder = (path as NSString).deletingLastPathComponent
      let attributes = try? FileManager.default.attributesOfFileSystem(forPath: folder.isEmpty ? "." : folder)
      if let free = attributes?[.systemFreeSize] as? NSNumber {
        let megabytes = free.int64Value / 1_048_576
        findings.append(
          megabytes < 500
            ? .warning("disk: \(megabytes) MB free; a full disk stops payments, make room")
            : .fine("disk: \(megabytes) MB free"))
      }
      return findings + [Self.keys(try await opened.directory.keys().count { $0.revokedAt == nil })]
    } catch { return [.broken("store: \(error)")] }
  }

  /// Of the orders whose time has come: those that cannot be read stay among them.
  static func unreadable(_ store: any Store) throws(Fault) -> Finding {
    let limit = 1000
    let orders = try store.load([.due(SystemClock().now(), limit: limit)]).unreadable
    try store.save(Changeset())
    guard let first = orders.first else { return .fine("orders: all that are due can be read") }
    let others = orders.count == 1 ? "" : " and \(orders.count == limit ? "at least " : "")\(orders.count - 1) more"
    return .broken(
      "orders: \(first.id)\(others) cannot be read (\(first.table)), so that nothing is done about them. A newer payonce "
        + "wrote them, or a person: run the newer one, or put back what was there")
  }

  /// Of this process, which is started as the server is, or nearly so.
  private func checkFiles() -> [Finding] {
    let limit = Descriptors.all.limit
    return [
      limit < Descriptors.few
        ? .warning("files: only \(limit) may be open here, and each connection is one. \(Descriptors.advice)")
        : .fine("files: \(limit) may be open here")
    ]
  }

  static func keys(_ count: Int) -> Finding {
    count == 0
      ? .warning("keys: none yet; `payonce keys create --merchant NAME` makes one") : .fine("keys: \(count) valid")
  }

  private func checkAddresses() -> [Finding] {
    do {
      let address = try ListenAddress(Setting.value(listen, .listen) ?? "127.0.0.1:8080", option: "--listen")
      let publicAddress = try Setting.value(publicURL, .publicURL).map {
        try ServeCommand.webAddress($0, "--public-url")
      }
      let playground = try Playground(
        sandbox: sandbox, demo: demo, bank: Setting.value(bank, .bank),
        isPrivate: address.isLoopback && publicAddress?.isLoopback ?? true)
      let remarks = playground.remarks.map { Finding.warning("providers: \($0)") }
      switch publicAddress?.text {
      case nil where !address.isLoopback:
        return remarks + [.warning("public URL: not set; buyers are sent to http://\(address). Set --public-url")]
      case nil: return remarks + [.fine("public URL: http://\(address), for this machine alone")]
      case let url? where publicAddress?.isSecure == false && publicAddress?.isLoopback == false:
        return remarks + [
          .warning("public URL: \(url) is not https; checkout tokens travel in the clear. Put a TLS proxy in front")
        ]
      case let url?: return remarks + [.fine("public URL: \(url)")]
      }
    } catch { return [.broken("\(error)")] }
  }

  private func checkServer(_ client: HTTPClient) async -> [Finding] {
    guard let address = try? ListenAddress(Setting.value(listen, .listen) ?? "127.0.0.1:8080", option: "") else {
      return []
    }
    switch await Self.status("http://\(address)/readyz", client) {
    case 200: return [.fine("server: ready on http://\(address)")]
    case let status?: return [.broken("server: http://\(address)/readyz answers \(status); its log says why")]
    case nil: return [.warning("server: nothing answers on http://\(address); start it with `payonce serve`")]
    }
  }

  private func checkBank(_ client: HTTPClient) async -> [Finding] {
    guard let url = Setting.value(bank, .bank) else {
      return [.fine("bank: the server's own, not looked at; name another one with --bank")]
    }
    let address: WebAddress
    do {
      address = try ServeCommand.webAddress(url, "--bank")
      let gate = try ServeCommand.webAddress(Setting.value(publicURL, .publicURL) ?? "http://127.0.0.1", "--public-url")
      let listen = try ListenAddress(Setting.value(listen, .listen) ?? "127.0.0.1:8080", option: "--listen")
      _ = try BankSecret.ofOthers(isPrivate: address.isLoopback && gate.isLoopback && listen.isLoopback)
    } catch { return [.broken("bank: \(error)")] }
    let key = Setting.value(nil, .bankKey)
    switch await Self.status(address.text + "/faults", client, key: key) {
    case 200: return [.fine("bank: answers on \(address.text)")]
    case 401: return [.warning("bank: \(address.text) does not take PAYONCE_BANK_KEY; the demo needs the bank's own")]
    default: return [.broken("bank: nothing answers on \(address.text); start it with `payonce bank`")]
    }
  }

  private static func status(_ url: String, _ client: HTTPClient, key: String? = nil) async -> Int? {
    var request = HTTPClientRequest(url: url)
    if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
    let response = try? await client.execute(request, timeout: .seconds(3))
    _ = try? await response?.body.collect(upTo: 65_536)
    return response.map { Int($0.status.code) }
  }
}
