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
    // This client does not retry what was refused.
    let findings = try await Wire.withClient(connections: 8) { client in
      let (findings, id) = await checkStore(client)
      return await findings + checkFiles() + checkAddresses() + checkServer(client, store: id) + checkBank(client)
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

  /// - Returns: the findings, and the store's id if it is known.
  private func checkStore(_ client: HTTPClient) async -> ([Finding], id: String?) {
    do {
      switch try store.location() {
      case .sqlite(let path): return await checkFile(path)
      case .postgres(let address): return await checkDatabase(address, client)
      }
    } catch { return ([.broken("store: \(error)")], nil) }
  }

  private func checkFile(_ path: String) async -> ([Finding], id: String?) {
    do {
      let isNew = !FileManager.default.fileExists(atPath: path)
      if isNew {
        return ([.warning("store: \(path) does not exist yet; `payonce serve` makes it")], Self.noStore)
      }
      let opened = try store.location().open()
      var findings: [Finding] = [.fine("store: \(path) opens, with a durable write-ahead log and the current schema")]
      // A full or read-only disk shows only when something is written.
      do throws(Fault) {
        let store = opened.writing[0]
        let unreadable = try Self.unreadable(store)
        var changes = Changeset()
        changes.probe = SystemClock().now()
        try store.write(changes)
        findings += [.fine("store: can be written"), unreadable]
      } catch {
        findings.append(
          .broken("store: cannot be written (\(error)); check the disk's space and the file's permissions"))
      }
      let attributes = try? FileManager.default.attributesOfFileSystem(forPath: folder(of: path))
      if let free = attributes?[.systemFreeSize] as? NSNumber {
        let megabytes = free.int64Value / 1_048_576
        findings.append(
          megabytes < 500
            ? .warning("disk: \(megabytes) MB free; a full disk stops payments, make room")
            : .fine("disk: \(megabytes) MB free"))
      }
      findings += await Self.waiting(opened.reading)
      findings.append(Self.keys(try await opened.directory.keys().count { $0.revokedAt == nil }))
      return (findings, try await opened.directory.storeID())
    } catch { return ([.broken("store: \(error)")], nil) }
  }

  /// Stands for the id of a store that does not exist yet. It differs from every server's.
  private static let noStore = "none"

  /// Reports what is in doubt, closing, or waits for a decision.
  static func waiting(_ reading: any Reading) async -> [Finding] {
    do throws(Fault) {
      let (all, now) = (try await reading.waiting(limit: Waiting.listed), SystemClock().now())
      let findings = Waiting.Kind.allCases.compactMap { kind -> Finding? in
        let some = all.filter { $0.kind == kind }
        guard let oldest = some.map(\.since).min() else { return nil }
        let name =
          switch kind {
          case .unknownPayment: "payments in doubt"
          case .unknownRefund: "refunds in doubt"
          case .openCase: "open cases"
          case .closingOrder: "closing orders"
          }
        let count = "\(some.count == Waiting.listed ? "at least " : "")\(some.count)"
        let text =
          "\(name): \(count), the oldest since \(oldest.rfc3339); `payonce stuck` lists them and says what to do"
        return some.contains { $0.needsSomebody(at: now) } ? .broken(text) : .warning(text)
      }
      return findings.isEmpty ? [.fine("waiting: nothing is in doubt, closing, or waits for a decision")] : findings
    } catch { return [.broken("waiting: cannot be looked at (\(error.reason))")] }
  }

  /// Reports the due orders that cannot be read. Nothing is done about such an order, so it stays due.
  static func unreadable(_ store: any Store) throws(Fault) -> Finding {
    var orders: [UnreadableOrder] = []
    var place: WakePlace?
    let now = SystemClock().now()
    repeat {
      let page = try store.find([.due(now, after: place, limit: 1000)])
      orders += page.unreadable
      place = page.dueEnd
    } while place != nil && orders.count < 1000
    guard let first = orders.first else { return .fine("orders: all that are due can be read") }
    let others = orders.count == 1 ? "" : " and \(place == nil ? "" : "at least ")\(orders.count - 1) more"
    return .broken(
      "orders: \(first.id)\(others) cannot be read (\(first.table)), so that nothing is done about them. A newer payonce "
        + "wrote them, or a person: run the newer one, or put back what was there")
  }

  /// Checks the limit of this process. The server's may differ if it is started in another way.
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
      let address = try ListenAddress(
        Setting.value(listen, .listen) ?? "127.0.0.1:8080", option: Setting.source(listen, .listen))
      let publicAddress = try Setting.value(publicURL, .publicURL)
        .map { try ServeCommand.webAddress($0, Setting.source(publicURL, .publicURL)) }
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

  private struct Ready: Decodable { let store: String }

  /// - Parameter store: the id of the store that was looked at here; `nil` when it is not known.
  private func checkServer(_ client: HTTPClient, store: String?) async -> [Finding] {
    guard let address = try? ListenAddress(Setting.value(listen, .listen) ?? "127.0.0.1:8080", option: "") else {
      return []
    }
    let (status, body) = await Self.answer("http://\(address)/readyz", client)
    switch status {
    case 200:
      let theirs = try? JSONDecoder().decode(Ready.self, from: body).store
      guard let store, let theirs, store != theirs else { return [.fine("server: ready on http://\(address)")] }
      return [
        .broken(
          "server: ready on http://\(address), with another store (its id is \(theirs)) than the one looked at here "
            + "(\(store)), so that keys made here are no good there. Name the server's with --store or PAYONCE_STORE")
      ]
    case let status?:
      if let problem = try? JSONDecoder().decode(Refused.self, from: body), problem.code == Problem.clockWrong.code {
        return [
          .broken(
            "server: the clock of the machine of http://\(address) is wrong, and it decides nothing until that is mended "
              + "(its log says by how much). Set the date right (timedatectl, chronyc makestep): it goes on by itself")
        ]
      }
      return [.broken("server: http://\(address)/readyz answers \(status); its log says why")]
    case nil: return [.warning("server: nothing answers on http://\(address); start it with `payonce serve`")]
    }
  }
  private struct Refused: Decodable { let code: String }

  private func checkBank(_ client: HTTPClient) async -> [Finding] {
    guard let url = Setting.value(bank, .bank) else {
      return [.fine("bank: the server's own, not looked at; name another one with --bank")]
    }
    let address: WebAddress
    do {
      address = try ServeCommand.webAddress(url, Setting.source(bank, .bank))
      let gate = try ServeCommand.webAddress(
        Setting.value(publicURL, .publicURL) ?? "http://127.0.0.1", Setting.source(publicURL, .publicURL))
      let listen = try ListenAddress(Setting.value(listen, .listen) ?? "127.0.0.1:8080", option: "--listen")
      _ = try BankSecret.ofOthers(isPrivate: address.isLoopback && gate.isLoopback && listen.isLoopback)
    } catch { return [.broken("bank: \(error)")] }
    let key = Setting.value(nil, .bankKey)
    switch await Self.answer(address.text + "/faults", client, key: key).status {
    case 200: return [.fine("bank: answers on \(address.text)")]
    case 401: return [.warning("bank: \(address.text) does not take PAYONCE_BANK_KEY; the demo needs the bank's own")]
    default: return [.broken("bank: nothing answers on \(address.text); start it with `payonce bank`")]
    }
  }

  /// - Returns: the status and the body; no status when nothing answers.
  static func answer(
    _ url: String, _ client: HTTPClient, key: String? = nil
  ) async -> (status: Int?, body: Data) {
    var request = HTTPClientRequest(url: url)
    if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
    let response = try? await client.execute(request, timeout: .seconds(3))
    let body = try? await response?.body.collect(upTo: 65_536)
    return (response.map { Int($0.status.code) }, body.map { Data($0.readableBytesView) } ?? Data())
  }
}
