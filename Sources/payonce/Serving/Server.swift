import Contract
import Hummingbird
import HummingbirdCore
import Listener
import Logging
import NIOCore
import PaymentCore
import PaymentEngine
import ServiceLifecycle
import Site
import UnixSignals

/// The gate in this process: an engine, and HTTP in front of it.
enum Server {
  /// Runs until SIGTERM or SIGINT, and then ends in an order in which nothing is lost.
  /// - Parameters:
  ///   - recovering: another engine over the same store. It asks about the calls of the process before at once, and is
  ///     of no use afterwards. Only for a store on which no other process can work.
  ///   - places: how many connections there may be.
  ///   - beside: services that run with the gate and end last.
  /// - Throws: `SetupError` when it cannot listen; the fault of a store that cannot be recovered.
  static func run(
    _ engine: Engine, recovering: Engine? = nil, _ routes: Routes, at address: ListenAddress, places: Int,
    beside: [any Service] = [], logger: Logger
  ) async throws {
    let listener = Listener(places: places, refusal: full)
    let web = Application(
      router: routes.router, server: listener.server,
      configuration: address.configuration(of: listener, backlog: 4096, logger),
      onServerRunning: { _ in announce("listening on http://\(address)") }, logger: logger)
    let threads = (1...engine.journal.lanes.count).map { LaneThread(name: "lane \($0)") }
    if let count = try await recovering?.recover(on: threads), count > 0 {
      logger.notice("the calls of a process that died are asked about", metadata: ["orders": "\(count)"])
    }
    // Services stop from the last to the first: requests, then calls and their evidence, then those beside.
    var configuration = ServiceGroupConfiguration(
      services: beside + [
        ClosureService {
          // This is cancelled when another service fails: a bind that did not work must end the program with a message.
          await withTaskCancellationOrGracefulShutdownHandler {
            await engine.run(on: threads)
          } onCancelOrGracefulShutdown: {
            engine.stop()
          }
        },
        ClosureService {
          // Requests that wait for an outcome are answered with how things stand.
          try await withGracefulShutdownHandler {
            try await web.run()
          } onGracefulShutdown: {
            engine.stopWaiting()
          }
        },
      ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    // The time for calls under way to end, and for their evidence to be stored.
    configuration.maximumGracefulShutdownDuration = engine.rules.schedule.callTimeout + .seconds(20)
    do { try await ServiceGroup(configuration: configuration).run() } catch let error as IOError {
      throw SetupError("It cannot listen on \(address) or beside it: \(error.inWords). Is it running already?")
    }
  }

  private static let full = Listener.Refusal(
    status: Problem.overloaded.status,
    headers: [("content-type", "application/problem+json"), ("cache-control", "no-store"), ("retry-after", "1")],
    body: Problem.overloaded.json)
}

extension ListenAddress {
  func configuration(of listener: Listener, backlog: Int, _ logger: Logger) -> ApplicationConfiguration {
    ApplicationConfiguration(
      address: .hostname(host, port: port), backlog: backlog,
      availableConnectionsDelegate: listener.acceptance(logger))
  }
}
