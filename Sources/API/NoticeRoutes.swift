import HTTPTypes
import Hummingbird
import Logging
import PaymentCore
import PaymentEngine
import Site

/// The notices of providers. A notice is acknowledged only after what it proves has been stored.
struct NoticeRoutes: Sendable {
  let engine: Engine

  func add(to routes: Routes) {
    routes.on(.post, "/providers/:name/notices") { request, context in
      let name = ProviderName(context.parameters.get("name") ?? "")
      let provider = try engine.adapter(name).orNotFound("provider")
      var headers: [String: String] = [:]
      for field in request.headers { headers[field.name.canonicalName] = field.value }
      let notice = Notice(headers: headers, body: try await request.bytes())
      switch provider.read(notice, now: engine.clock.now()) {
      case .unverified: throw Refusal(.unauthorized, "The notice does not prove that it comes from its provider.")
      case .irrelevant: break
      case .evidence(let evidence):
        context.logger.info("notice", metadata: evidence.metadata)
        // A refusal means that the notice concerns no order here. It is acknowledged all the same: sending it again
        // would not help.
        _ = try await engine.journal.submit(.evidence(evidence), by: .payOnce)
      }
      return Response(status: .noContent)
    }
  }
}
