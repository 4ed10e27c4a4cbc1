import FoundationEssentials
import HTTPTypes
package import Hummingbird
import NIOCore
import ServiceLifecycle

/// The context of one request, with its connection, so that the bank can hang up.
package struct BankContext: RequestContext {
  package var coreContext: CoreRequestContextStorage
  let channel: any Channel

  package init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }
}

extension SandboxBank {
  // swift-format-ignore: AlwaysUseLowerCamelCase
  private struct CreateCharge: Decodable {
    let id: String
    let amount: Int64
    let currency: String
    let method: String
    let expires_at: String?
    let notify_url: String?
  }
  private struct CreateRefund: Decodable {
    let id: String
    let amount: Int64
  }

  package func router() -> Router<BankContext> {
    let router = Router(context: BankContext.self)
    router.post("/charges") { request, context in
      try await self.misbehaving(context) {
        let wanted: CreateCharge = try await Self.body(request)
        guard Books.methods.contains(wanted.method), Books.amounts.contains(wanted.amount),
          wanted.currency.utf8.count == 3, (6...64).contains(wanted.id.utf8.count),
          wanted.notify_url.map(BankAddress.isWeb) ?? true,
          wanted.expires_at.map({ BankTime.milliseconds($0) != nil }) ?? true
        else { throw BankRefusal(400, "invalid_charge") }
        let charge = Charge(
          id: wanted.id, amount: wanted.amount, currency: wanted.currency, method: wanted.method, status: .pending,
          expires_at: wanted.expires_at.flatMap(BankTime.milliseconds), notify_url: wanted.notify_url,
          created_at: BankTime.now())
        let result = try await self.books.create(charge, fate: self.fate(), now: BankTime.now())
        if result.changed { try await self.announce([result.charge]) }
        return try Self.json(result.charge.json(), isLost: result.charge.method == "lost")
      }
    }
    router.get("/charges/:id") { _, context in
      try await self.misbehaving(context) {
        guard let charge = try await self.books.charge(try context.parameters.require("id")),
          BankTime.now() >= charge.created_at + self.faults.visible_after_ms
        else { throw BankRefusal(404, "not_found") }
        return try Self.json(charge.json(try await self.books.refunds(of: charge.id)))
      }
    }
    router.post("/charges/:id/close") { _, context in
      try await self.misbehaving(context) {
        let id = try context.parameters.require("id")
        let result = try await self.books.close(id, fate: self.fate(), now: BankTime.now())
        if result.changed { try await self.announce([result.charge]) }
        return try Self.json(result.charge.json())
      }
    }
    router.post("/charges/:id/refunds") { request, context in
      try await self.misbehaving(context) {
        let wanted: CreateRefund = try await Self.body(request)
        guard Books.amounts.contains(wanted.amount), (6...64).contains(wanted.id.utf8.count) else {
          throw BankRefusal(400, "invalid_refund")
        }
        let refund = BankRefund(
          id: wanted.id, charge: try context.parameters.require("id"), amount: wanted.amount,
          created_at: BankTime.now())
        return try Self.json(await self.books.refund(refund))
      }
    }
    router.get("/refunds/:id") { _, context in
      try await self.misbehaving(context) {
        guard let refund = try await self.books.refund(try context.parameters.require("id")) as BankRefund? else {
          throw BankRefusal(404, "not_found")
        }
        return try Self.json(refund)
      }
    }
    router.get("/books") { request, _ in
      try await Self.refusing {
        try self.allow(request)
        try await self.settle()
        let charges = Self.field("charges", in: request.uri.query)?.split(separator: ",").map(String.init)
        return try Self.json(await self.books.listing(of: charges))
      }
    }
    router.get("/faults") { request, _ in
      try await Self.refusing {
        try self.allow(request)
        return try Self.json(self.faults)
      }
    }
    router.put("/faults") { request, _ in
      try await Self.refusing {
        try self.allow(request)
        let faults: Faults = try await Self.body(request)
        if let complaint = faults.complaint { throw BankRefusal(400, complaint) }
        self.setFaults(faults)
        return try Self.json(faults)
      }
    }
    addCashier(to: router)
    return router
  }

  private func allow(_ request: Request) throws(BankRefusal) {
    guard isAllowed(request.headers[.authorization]) else { throw BankRefusal(401, "unauthorized") }
  }

  // MARK: Answers

  /// How many bytes a body may have.
  static let bodyLimit = 4096

  static func body<Value: Decodable>(_ request: Request) async throws -> Value {
    let buffer = try await request.body.collect(upTo: bodyLimit)
    // The bank's clients send ASCII only. Comparing a long run of combining marks would take seconds; escapes of JSON
    // make runs that are short enough.
    guard buffer.readableBytesView.allSatisfy({ $0 < 0x80 }) else { throw BankRefusal(400, "invalid_json") }
    do { return try JSONDecoder().decode(Value.self, from: Data(buffer.readableBytesView)) } catch let refusal
      as BankRefusal
    { throw refusal } catch {
      throw BankRefusal(400, "invalid_json")
    }
  }

  static let lost = HTTPField.Name("x-bank-lost")!

  static func json(_ text: String, isLost: Bool = false) -> Response {
    var headers: HTTPFields = [.contentType: "application/json"]
    if isLost { headers[lost] = "1" }
    return Response(status: .ok, headers: headers, body: .init(byteBuffer: ByteBuffer(string: text)))
  }

  static func json(_ value: some Encodable) throws -> Response {
    json(String(decoding: try JSONEncoder().encode(value), as: UTF8.self))
  }

  /// Does the work, and answers its refusal with JSON.
  static func refusing(_ work: () async throws -> Response) async throws -> Response {
    do { return try await work() } catch let refusal as BankRefusal {
      let charge = try refusal.charge.map { ",\"charge\":\(try $0.json())" } ?? ""
      var response = json("{\"code\":\"\(refusal.code)\"\(charge)}")
      response.status = .init(code: refusal.status)
      if refusal.status == 401 { response.headers[.wwwAuthenticate] = "Bearer realm=\"bank\"" }
      return response
    }
  }

  /// Carries out a request as the faults have it: delayed, lost, failed, or well.
  private func misbehaving(_ context: BankContext, _ work: () async throws -> Response) async throws -> Response {
    let course = course()
    try await Task.sleep(for: .milliseconds(course.before))
    if course.loss == .request { return try await vanish(context, isSilent: course.isSilent) }
    if course.loss == .errorBefore { return Response(status: .internalServerError) }
    if course.loss == .turnedAway {
      var response = Self.json("{\"code\":\"throttled\"}")
      response.status = .tooManyRequests
      response.headers[.retryAfter] = "2"
      return response
    }
    try await settle()
    let response = try await Self.refusing(work)
    try await Task.sleep(for: .milliseconds(course.after))
    if course.loss == .response || response.headers[Self.lost] != nil {
      return try await vanish(context, isSilent: course.isSilent || response.headers[Self.lost] != nil)
    }
    if course.loss == .errorAfter { return Response(status: .internalServerError) }
    return response
  }

  /// Gives no answer: the connection ends at once, or after 30 s of silence.
  private func vanish(_ context: BankContext, isSilent: Bool) async throws -> Response {
    if isSilent {
      try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(30)) }
    }
    context.channel.close(promise: nil)
    // Nobody reads this: the connection is gone.
    return Response(status: .internalServerError)
  }
}
