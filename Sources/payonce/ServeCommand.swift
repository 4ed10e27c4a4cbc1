import ArgumentParser
import AsyncHTTPClient
import Contract
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import PaymentCore
import PaymentEngine
import Providers
import Web

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Run the payment gate.",
    discussion: """
      Without options it runs on this machine alone: http://127.0.0.1:8080, its orders in ./data/payonce.db, a sandbox
      bank of its own on http://127.0.0.1:8090 with its books in ./data/bank.db, and a demo shop at /demo.

      Behind a proxy, tell it its address for buyers:
        payonce serve --listen 127.0.0.1:8080 --public-url https://pay.example.com
      """)

  @Option(help: "Where to listen; port 0 takes a free one. (default: 127.0.0.1:8080)")
  var listen: String?
  @OptionGroup var store: StoreOption
  @Option(help: "How many transactions to have under way at once on PostgreSQL, 1 to 64. (default: 2)")
  var lanes: Int?
  @Option(help: "The address at which buyers reach this server. (default: http:// and where it listens)")
  var publicURL: String?
  @Option(help: "The sandbox bank as a provider: on or off. (default: on while only this machine can reach the gate)")
  var sandbox: String?
  @Option(help: "The sandbox bank to use, such as http://127.0.0.1:8090. (default: one of its own)")
  var bank: String?
  @Option(help: "Where its own bank listens. (default: 127.0.0.1:8090, or a free port when that is taken)")
  var bankListen: String?
  @Option(help: "The file of its own bank's books. (default: bank.db beside the store; ./data/bank.db with PostgreSQL)")
  var books: String?
  @Option(
    help: """
      The demo shop at /demo: on or off. It pays at the sandbox bank. (default: as --sandbox, while only this machine \
      can reach the gate)
      """)
  var demo: String?
  @Option(help: "How long a provider call may take, in seconds. (default: 10)")
  var callTimeout: Int?
  @OptionGroup var log: LogOption

  func run() async throws {
    try await reporting { try await Wire.withClient(connections: Descriptors.all.calls, work: serve) }
  }

  private func serve(_ client: HTTPClient) async throws {
    let logger = try log.logger("payonce")
    let address = try ListenAddress(Setting.value(listen, .listen) ?? "127.0.0.1:8080", option: "--listen")
      .reserved(option: "--listen")
    let publicAddress = try Self.webAddress(
      Setting.value(self.publicURL, .publicURL) ?? "http://\(address)", "--public-url")
    let publicURL = publicAddress.text
    let playground = try Playground(
      sandbox: self.sandbox, demo: demo, bank: Setting.value(bank, .bank),
      isPrivate: address.isLoopback && publicAddress.isLoopback)
    let (hasSandbox, hasDemo) = (playground.hasSandbox, playground.hasDemo)
    var schedule = Schedule()
    if let seconds = try Self.number(callTimeout, .callTimeout, 1...120, unit: " seconds") {
      schedule.callTimeout = .seconds(seconds)
    }
    let location = try store.location()
    let lanes = try Self.number(lanes, .lanes, 1...64) ?? 2
    let hasBank = hasSandbox && Setting.value(bank, .bank) == nil
    let places = try Descriptors.all.gatePlaces(lanes: lanes, hasBank: hasBank)
    let opened = try location.open(lanes: lanes)
    if case .sqlite(let path) = location { try holdAlone(path) }

    // Each node would ask a bank of its own about what another one has paid.
    if location.isShared, hasSandbox, Setting.value(bank, .bank) == nil, !address.isLoopback {
      throw SetupError(
        "Several servers on one database need one bank: name it with --bank, or turn it off with --sandbox off.")
    }
    let sandbox =
      hasSandbox
      ? try await sandbox(address, location, client, schedule, publicURL, playground, logger) : nil
    let providers: [any Provider] = sandbox.map { [$0.provider] } ?? []
    let rules = Rules(
      schedule: schedule, sheets: Dictionary(uniqueKeysWithValues: providers.map { ($0.name, $0.sheet) }),
      enabled: providers.map(\.name))

    func newEngine() -> Engine {
      Engine(
        stores: opened.writing, shared: location.isShared ? opened.reading : nil, providers: providers, rules: rules,
        clock: SystemClock(), places: .init(connections: places), logger: logger)
    }
    let engine = newEngine()
    var demo: DemoShop?
    if hasDemo, let bankURL = sandbox?.bankURL {
      demo = try await Self.demoShop(opened.directory, bankURL: bankURL, client: client)
    }
    let services = WebServices(
      engine: engine, reading: opened.reading, directory: opened.directory, providers: providers,
      randomness: SystemRandomness(), publicURL: publicURL, redirectOrigins: sandbox.map { [$0.bankURL] } ?? [],
      demo: demo, logger: logger)

    Setting.warnOfOthers(logger)
    for remark in playground.remarks { logger.warning("\(remark)") }
    Descriptors.all.warn(places, logger)
    if address.isWildcard, publicURL == "http://\(address)" {
      logger.warning("buyers are sent to \(publicURL), which is nobody's address: set --public-url")
    }
    try await Server.run(
      engine, recovering: location.isShared ? nil : newEngine(), services, at: address, places: places,
      beside: sandbox?.own?.services(announcing: false) ?? [], logger: logger)
  }

  private func sandbox(
    _ server: ListenAddress, _ location: StoreLocation, _ client: HTTPClient, _ schedule: Schedule, _ publicURL: String,
    _ playground: Playground, _ logger: Logger
  ) async throws -> (provider: SandboxProvider, bankURL: String, own: RunningBank?) {
    let (bankURL, own, secret) = try await bank(server, location, client, playground, logger)
    let provider = SandboxProvider(
      wire: Wire(client: client, timeout: schedule.callTimeout), bankURL: bankURL, publicURL: publicURL,
      verifier: secret.verifier)
    return (provider, bankURL, own)
  }

  private func bank(
    _ server: ListenAddress, _ location: StoreLocation, _ client: HTTPClient, _ playground: Playground, _ logger: Logger
  ) async throws -> (url: String, own: RunningBank?, secret: BankSecret) {
    if let url = Setting.value(bank, .bank) {
      let address = try Self.webAddress(url, "--bank")
      return (address.text, nil, try .ofOthers(isPrivate: address.isLoopback && playground.isPrivate))
    }
    let wanted = Setting.value(bankListen, .bankListen)
    let address: ListenAddress
    if let wanted {
      address = try ListenAddress(wanted, option: "--bank-listen").reserved(option: "--bank-listen")
    } else if server.port != 8090,
      let usual = try? ListenAddress("127.0.0.1:8090", option: "").reserved(option: "")
    {
      address = usual
    } else {
      address = try ListenAddress("127.0.0.1:0", option: "").reserved(option: "--bank-listen")
    }
    guard address.port != server.port else {
      throw SetupError("--bank-listen \(address) is where the server itself listens. Choose another port.")
    }
    guard address.isLoopback else {
      throw SetupError("Its own bank listens on loopback only: --bank-listen 127.0.0.1:PORT")
    }
    var path = Setting.value(books, .books)
    if path == nil, case .sqlite(let file) = location {
      path = ((file as NSString).deletingLastPathComponent as NSString).appendingPathComponent("bank.db")
    }
    let secret = try BankSecret.ofOneProcess()
    let own = try RunningBank(
      books: path ?? "./data/bank.db", secret: secret, key: nil, address: address, places: Descriptors.all.bankPlaces,
      client: client, logger: logger)
    logger.notice("the sandbox bank is on http://\(address)")
    return ("http://\(address)", own, secret)
  }

  private static func demoShop(
    _ directory: any Directory, bankURL: String, client: HTTPClient
  ) async throws -> DemoShop {
    let merchant = try await directory.merchant(
      named: "Little Tea Shop 小茶铺", id: KeysCommand.Create.newMerchant(SystemRandomness()))
    let bank = DemoBank(client: client, url: bankURL)
    return DemoShop(
      merchant: merchant, bankURL: bankURL, network: { await bank.network() },
      setNetwork: { await bank.set($0) }, books: { await bank.books(of: $0) })
  }

  /// An address behind which paths are put, without a slash at its end.
  static func webAddress(_ text: String, _ option: String) throws -> WebAddress {
    guard let base = WebAddress(text)?.base, let address = WebAddress(base) else {
      // One with a user name may have a password, too.
      let given = text.contains("@") ? "" : " It is: \(text)"
      throw SetupError(
        "\(option) must be an http or https URL without a path, with a host and, if it names a port, one of 1 to 65535."
          + given)
    }
    return address
  }

  static func number(
    _ option: Int?, _ name: Setting.Name, _ range: ClosedRange<Int>, unit: String = ""
  ) throws -> Int? {
    guard let text = Setting.value(option.map(String.init), name) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw SetupError("\(name.variable) must be \(range.lowerBound) to \(range.upperBound)\(unit). It is: \(text)")
    }
    return number
  }
}

/// What the demo asks the sandbox bank, beside paying: how it behaves, and what is in its books.
private struct DemoBank: Sendable {
  let client: HTTPClient
  let url: String
  /// Of a bank that others can reach, for its faults and books.
  private let key = Setting.value(nil, .bankKey)

  init(client: HTTPClient, url: String) {
    self.client = client
    self.url = url
  }

  func network() async -> String? {
    guard let body = await get("/faults"),
      let faults = try? JSONSerialization.jsonObject(with: body) as? [String: Any]
    else { return nil }
    if let network = (faults["seed"] as? Int).flatMap(DemoShop.Network.init(seed:)) { return network.rawValue }
    let isHarmless = faults.allSatisfy { name, value in
      name == "seed" || value as? Double == 0 || value as? [Double] == [0, 0]
    }
    return isHarmless ? DemoShop.Network.good.rawValue : "hand"
  }

  func books(of payments: [PaymentID]) async -> DemoShop.Books? {
    let body = await get("/books?charges=" + payments.map(\.text).joined(separator: ","))
    return body.flatMap { try? JSONDecoder().decode(DemoShop.Books.self, from: $0) }
  }

  func set(_ network: DemoShop.Network) async {
    var request = request("/faults")
    request.method = .PUT
    request.body = .bytes(ByteBuffer(string: network.faults))
    // The page shows what the bank says afterwards, also when this was lost.
    if let response = try? await client.execute(request, timeout: .seconds(2)) {
      _ = try? await response.body.collect(upTo: 65_536)
    }
  }

  private func request(_ path: String) -> HTTPClientRequest {
    var request = HTTPClientRequest(url: url + path)
    if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
    return request
  }

  private func get(_ path: String) async -> Data? {
    guard let response = try? await client.execute(request(path), timeout: .seconds(2)),
      let body = try? await response.body.collect(upTo: 1_048_576)
    else { return nil }
    return Data(body.readableBytesView)
  }
}
