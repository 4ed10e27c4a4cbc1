import Contract
import Hummingbird
import NIOCore
import PaymentEngine
import Site

/// The server's health, and `openapi.json`, which describes its routes.
struct HealthRoutes: Sendable {
  let engine: Engine
  let directory: any Directory

  func add(to routes: Routes) {
    // This says only that the process answers. `payonce bench` measures the server by it.
    routes.on(.get, "/healthz") { _, _ in .json(Array(#"{"status":"ok"}"#.utf8)) }
    // This writes to the store: a store that can be read but not written takes no payment.
    routes.on(.get, "/readyz") { _, _ in
      try await engine.journal.probe()
      var writer = JSONWriter()
      let store = try await directory.storeID()
      writer.object {
        $0.string("status", "ready")
        $0.string("store", store)
      }
      return .json(writer.bytes)
    }
    let description = ByteBuffer(bytes: PackageResources.openapi_json)
    routes.on(.get, "/openapi.json") { _, _ in .json(description) }
  }
}
