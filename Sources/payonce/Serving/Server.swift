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

/// The gate in this process: an engine, and HTTP before it.
enum Server {
  /// Runs until SIGTERM or SIGINT, and then ends in the order in which nothing is lost.
  /// - Parameters:
  ///   - recovering: an engine over the same store that is good for one thing: where no other process can be at work on
  ///     it, the calls of the one that was before are asked about at once.
  ///   - places: how many connections there may be.
  ///   - beside: what runs with it and ends last.
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
    // Stopped from the last to the first: requests, then calls and their evidence, then what is beside.
    var configuration = ServiceGroupConfiguration(
      services: beside + [
        ClosureService {
          // Cancelled when another service failed: a bind that did not work must end the program, and say so.
          await withTaskCancellationOrGracefulShutdownHandler {
            await engine.run(on: threads)
          } onCancelOrGracefulShutdown: {
            engine.stop()
          }
        },
        ClosureService {
          // Whoever waits for an outcome is answered with how things stand.
          try await withGracefulShutdownHandler {
            try await web.run()
          } onGracefulShutdown: {
            engine.stopWaiting()
          }
        },
      ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    // The longest that calls under way can take, and their evidence to be stored.
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
