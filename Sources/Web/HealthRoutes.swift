import HTTPTypes
import Hummingbird
import NIOCore
import PaymentEngine

extension WebServices {
  func addHealth(to routes: inout Routes) {
    // Whether the process answers at all; the benchmark measures the server by it.
    routes.on(.get, "/healthz") { _, _ in .json(Array(#"{"status":"ok"}"#.utf8)) }
    // Whether it can do its work: a store that can be read but not written takes no payment.
    routes.on(.get, "/readyz") { _, _ in
      try await engine.journal.probe()
      return .json(Array(#"{"status":"ready"}"#.utf8))
    }
    let description = ByteBuffer(bytes: PackageResources.openapi_json)
    routes.on(.get, "/openapi.json") { _, _ in .json(description) }
  }
}
