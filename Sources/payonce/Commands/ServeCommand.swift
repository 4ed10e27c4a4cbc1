import ArgumentParser
import AsyncHTTPClient
import Contract
import Demo
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import OrderRows
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
    // All options are checked before the first port is taken. So their errors do not depend on what else runs on this
    // machine.
    let wanted = try ListenAddress(
      Setting.value(listen, .listen) ?? "127.0.0.1:8080", option: Setting.source(listen, .listen))
    let bankWanted = try Setting.value(bankListen, .bankListen)
      .map { try ListenAddress($0, option: Setting.source(bankListen, .bankListen)) }
    guard bankWanted?.isLoopback ?? true else {
      throw SetupError("Its own bank listens on loopback only: --bank-listen 127.0.0.1:PORT")
    }
    let publicAddress = try Setting.value(self.publicURL, .publicURL)
      .map { try Self.webAddress($0, Setting.source(self.publicURL, .publicURL)) }
    let bankAddress = try Setting.value(bank, .bank).map { try Self.webAddress($0, Setting.source(bank, .bank)) }
    let playground = try Playground(
      sandbox: self.sandbox, demo: demo, bank: bankAddress?.text,
      isPrivate: wanted.isLoopback && publicAddress?.isLoopback ?? true)
    let (hasSandbox, hasDemo) = (playground.hasSandbox, playground.hasDemo)
    let otherBank = hasSandbox ? bankAddress : nil
    var limits = try Self.limits(callTimeout: callTimeout)
    // A call that has its place finds a connection, too: nothing that counts more waits behind it there.
    limits.calls = min(limits.calls, Descriptors.all.calls)
    let location = try store.location()
    let lanes = try Self.number(lanes, .lanes, 1...64) ?? 2
    let hasBank = hasSandbox && otherBank == nil
    let places = try Descriptors.all.gatePlaces(lanes: lanes, hasBank: hasBank)
    limits.places = .init(connections: places)
    // Each node would have a bank of its own, and ask it about payments that another node made at another bank.
    if location.isShared, hasBank, !wanted.isLoopback {
      throw SetupError(
        "Several servers on one database need one bank: name it with --bank, or turn it off with --sandbox off.")
    }
    let secret =
      try otherBank.map { try BankSecret.ofOthers(isPrivate: $0.isLoopback && playground.isPrivate) }
      ?? .ofOneProcess(isPrivate: playground.isPrivate || !hasSandbox)

    let address = try wanted.reserved(option: Setting.source(listen, .listen))
    let publicURL = publicAddress?.text ?? "http://\(address)"
    // First, since to open a store is to bring its schema up to date.
    try location.holdAlone()
    let opened = try location.open(lanes: lanes, limits: limits, isServing: true)

    let ownBank = hasBank ? try bank(address, bankWanted, location, client, secret, logger) : nil
    let bankURL = otherBank?.text ?? ownBank?.url
    let accounts =
      bankURL.map { bankURL in
        [
          ProviderAccount(
            SandboxProvider(
              wire: Wire(client: client, timeout: limits.schedule.callTimeout), bankURL: bankURL, publicURL: publicURL,
              verifier: secret.verifier))
        ]
      } ?? []
    func newEngine() -> Engine {
      Engine(
        stores: opened.writing, shared: location.isShared ? opened.reading : nil, accounts: accounts,
        numbering: .sha256, limits: limits, clock: SystemClock(), logger: logger)
    }
    let engine = newEngine()
    var demo: DemoShop?
    if hasDemo, let bankURL {
      demo = try await Self.demoShop(opened.directory, bankURL: bankURL, client: client)
    }
    let routes = Gate.routes(
      engine: engine, reading: opened.reading, directory: opened.directory,
      randomness: SystemRandomness(), publicURL: publicURL,
      redirectOrigins: bankURL.map { [$0] } ?? [], demo: demo)

    Setting.warnOfOthers(logger)
    for remark in playground.remarks { logger.warning("\(remark)") }
    Descriptors.all.warn(places, logger)
    if address.isWildcard, publicURL == "http://\(address)" {
      logger.warning("buyers are sent to \(publicURL), which is nobody's address: set --public-url")
    }
    // The bank may start later. The gate runs without it.
    async let looked: Void = Self.warn(ofSilent: otherBank?.text, client, logger)
    try await Server.run(
      engine, recovering: location.isShared ? nil : newEngine(), routes, at: address, places: places,
      beside: ownBank?.running.services(announcing: false) ?? [], logger: logger)
    await looked
  }

  /// The engine's limits, with the settings that change them.
  /// - Throws: `SetupError` unless the call time-out is 1 to 120 seconds.
  static func limits(callTimeout: Int?) throws -> Limits {
    var limits = Limits()
    if let seconds = try number(callTimeout, .callTimeout, 1...120, unit: " seconds") {
      limits.schedule.callTimeout = .seconds(seconds)
    }
    return limits
  }

  /// Makes a bank in this process.
  private func bank(
    _ server: ListenAddress, _ wanted: ListenAddress?, _ location: StoreLocation, _ client: HTTPClient,
    _ secret: BankSecret, _ logger: Logger
  ) throws -> (url: String, running: RunningBank) {
    let address: ListenAddress
    if let wanted {
      address = try wanted.reserved(option: Setting.source(bankListen, .bankListen))
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
    var path = Setting.value(books, .books)
    if path == nil, case .sqlite(let file) = location {
      path = folder(of: file) + "/bank.db"
    }
    let own = try RunningBank(
      books: path ?? "./data/bank.db", secret: secret, key: nil, address: address, places: Descriptors.all.bankPlaces,
      client: client, logger: logger)
    logger.notice("the sandbox bank is on http://\(address)")
    return ("http://\(address)", own)
  }

  private static func warn(ofSilent bankURL: String?, _ client: HTTPClient, _ logger: Logger) async {
    guard let bankURL, await DoctorCommand.answer(bankURL + "/faults", client).status == nil, !Task.isCancelled else {
      return
    }
    logger.warning("the bank does not answer: payments there wait until it does", metadata: ["bank": "\(bankURL)"])
  }

  private static func demoShop(
    _ directory: any Directory, bankURL: String, client: HTTPClient
  ) async throws -> DemoShop {
    let name = "Little Tea Shop 小茶铺"
    let merchant = try await directory.merchant(
      named: name, id: KeysCommand.Create.newMerchant(name, in: try await directory.storeID()))
    let bank = DemoBank(client: client, url: bankURL)
    return DemoShop(
      merchant: merchant, bankURL: bankURL, network: { await bank.network() },
      setNetwork: { await bank.set($0) }, books: { await bank.books(of: $0) })
  }

  /// An address to which paths are appended, without a slash at its end.
  /// - Throws: `SetupError` when it is no http or https address, or has a path.
  static func webAddress(_ text: String, _ option: String) throws -> WebAddress {
    guard let base = WebAddress(text)?.base, let address = WebAddress(base) else {
      // A text with a user name may also have a password. It is not repeated.
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
      let source = Setting.source(option.map(String.init), name)
      throw SetupError("\(source) must be \(range.lowerBound) to \(range.upperBound)\(unit). It is: \(text)")
    }
    return number
  }
}
