import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import PaymentCore
import Site
import Synchronization
import Testing

@Suite struct EnvelopeTests {
  /// What was logged, and how loudly.
  private final class Log: LogHandler {
    private let lines = Mutex<[(level: Logger.Level, text: String)]>([])
    var metadata: Logger.Metadata {
      get { [:] }
      set {}
    }
    var logLevel: Logger.Level {
      get { .trace }
      set {}
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { nil }
      set {}
    }

    func log(event: LogEvent) {
      let code = event.metadata?["code"].map { " \($0)" } ?? ""
      lines.withLock { $0.append((event.level, "\(event.message)\(code)")) }
    }

    func level(_ text: String) -> Logger.Level? { lines.withLock { $0.first { $0.text == text }?.level } }
  }

  /// A page loads several assets; they would hide what happens to orders.
  @Test func whatTellsNothingIsLoggedQuietly() async throws {
    let house = FakeHouse()
    house.know()
    let log = Log()
    let logger = Logger(label: "test") { _ in log }
    let token = FakeHouse.order.checkoutToken.text
    try await Application(router: house.gate().router(), logger: logger).test(.router) { client in
      for path in ["/checkout.css", "/demo/tea.svg", "/checkout/\(token)", "/checkout/\(token)/mark", "/nothing"] {
        try await client.execute(uri: path, method: .get) { #expect($0.status.code < 500, "\(path)") }
      }
      try await client.execute(uri: "/checkout/x", method: .get) { #expect($0.status == .notFound) }
    }
    for (text, level) in [
      ("GET /checkout.css", .debug), ("GET /demo/tea.svg", .debug), ("GET /checkout/{token}", .info),
      ("GET /checkout/{token}/mark", .info), ("GET /nothing not_found", .info),
      ("GET /checkout/{token} not_found", .info),
    ] as [(String, Logger.Level)] { #expect(log.level(text) == level, "\(text)") }
  }
}
