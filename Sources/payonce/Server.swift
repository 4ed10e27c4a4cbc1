import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import PaymentCore
import PaymentEngine
import ServiceLifecycle
import UnixSignals
import Web

/// The gate in this process: an engine, and HTTP before it.
enum Server {
  /// Runs until SIGTERM or SIGINT, and then ends in the order in which nothing is lost.
  /// - Parameters:
  ///   - recovering: an engine over the same store that is good for one thing: where no other process can be at work on
  ///     it, the calls of the one that was before are asked about at once.
  ///   - beside: what runs with it and ends last.
  static func run(
    _ engine: Engine, recovering: Engine? = nil, _ services: WebServices, at address: ListenAddress,
    beside: [any Service] = [], logger: Logger
  ) async throws {
    let web = Application(
      router: services.router(), server: .http1(configuration: http),
      configuration: .init(address: .hostname(address.host, port: address.port), backlog: 4096),
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
      throw SetupError("It cannot listen on \(address) or beside it: \(error). Is it running already?")
    }
  }

  /// Heads of at most 32 kB in at most 100 fields; a connection on which nothing arrives is closed after 10 seconds.
  private static let http = HTTP1Channel.Configuration(
    additionalChannelHandlers: [PlainHeads()], idleTimeout: .seconds(10),
    httpDecoderConfiguration: .init(maxHeaderFieldSize: 16_384, maxHeaderListSize: 32_768, maxHeaderFieldCount: 100))
}
