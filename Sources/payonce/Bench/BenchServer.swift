import ArgumentParser
import Foundation
import NIOCore
import OrderRows
import PaymentCore
import PaymentEngine
import Site
import Web

/// The server that `bench` loads: the one of `serve`, with a provider that answers at once.
struct BenchServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "server", shouldDisplay: false)

  @Option var listen: String
  @Option var lanes = 1
  @OptionGroup var store: StoreOption
  @OptionGroup var log: LogOption

  func run() async throws {
    try await reporting {
      let logger = try log.logger("bench")
      let address = try ListenAddress(listen, option: "--listen").reserved(option: "--listen")
      let opened = try store.location().open(lanes: lanes)
      let engine = Engine(
        stores: opened.writing, accounts: [ProviderAccount(InstantProvider())], numbering: .sha256,
        clock: SystemClock(), logger: logger)
      let routes = Gate.routes(
        engine: engine, reading: opened.reading, directory: opened.directory, randomness: SystemRandomness(),
        publicURL: "http://\(address)", redirectOrigins: [], demo: nil)
      let places = try Descriptors.all.gatePlaces(lanes: lanes, hasBank: false)
      try await Server.run(engine, routes, at: address, places: places, logger: logger)
    }
  }
}

/// A running server in a process of its own. It logs to a file, as in production.
struct BenchServer {
  let port: Int
  private let process: Process
  private let key: String

  static func start(_ store: BenchStore, folder: String, name: String = "server", lanes: Int = 1) async throws
    -> BenchServer
  {
    let directory = store.opened.directory
    _ = try await directory.merchant(named: "bench", id: BenchStore.merchant)
    let key = AccessKey.merchant(SystemRandomness())
    try await directory.add(
      StoredKey(
        id: key.id, hash: key.hash, holder: .merchant(BenchStore.merchant, name: "bench"),
        createdAt: SystemClock().now(), revokedAt: nil))

    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = ["bench", "server", "--listen", "127.0.0.1:0", "--store", store.url, "--lanes", "\(lanes)"]
    let output = Pipe()
    process.standardOutput = output
    let log = folder + "/\(name).log"
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: log)
    try process.run()
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    guard
      let port = line.split(separator: ":").last.flatMap({ Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) })
    else {
      process.terminate()
      throw SetupError("the server did not start; it said: \(line)")
    }
    return BenchServer(port: port, process: process, key: key.text)
  }

  func stop() {
    process.terminate()
    process.waitUntilExit()
  }

  /// Lets `load` send it so many requests, and notes what each cost it.
  func measure(
    _ load: LoadGenerator, _ requests: [ByteBuffer], expecting status: Int, perSecond: Double? = nil
  ) async throws -> Rate {
    let before = ResourceUse(server: process.processIdentifier)
    let rate = try await load.run(requests, expecting: status, perSecond: perSecond)
    return rate.costing(ResourceUse(server: process.processIdentifier).perPayment(since: before, requests.count))
  }

  /// The server's resident memory now.
  var residentMegabytes: Int {
    let status = (try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
    return (Int(line.filter(\.isNumber)) ?? 0) / 1024
  }

  // MARK: Requests, ready to be sent

  var health: ByteBuffer { ByteBuffer(string: "GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n") }

  func paying(_ order: Order) -> ByteBuffer {
    let body = #"{"provider":"instant","method":"ok"}"#
    return ByteBuffer(
      string: """
        POST /v1/orders/\(order.id.text)/payments HTTP/1.1\r
        Host: bench\r
        Authorization: Bearer \(key)\r
        Content-Type: application/json\r
        Content-Length: \(body.utf8.count)\r
        Idempotency-Key: \(BenchStore.newKey().text)\r
        \r
        \(body)
        """)
  }
}
