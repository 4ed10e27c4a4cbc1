import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import PaymentCore
import PaymentEngine
import Site
import Testing

@testable import API

@Suite struct APITests {
  /// A list like every list: of one, or of none.
  @Test func byItsReferenceAnOrderIsFoundInAList() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    house.know()
    try await Application(router: house.gate().router()).test(.router) { client in
      for (query, count) in [
        ("reference=A+1", 1), ("reference=A%201", 1), ("reference=A%2B1", 0), ("reference=B", 0),
        ("reference=A+1&status=open", 1), ("reference=A+1&status=paid", 0),
        ("reference=A+1&limit=1", 1), ("reference=A+1&after=\(FakeHouse.order.id.text)", 0), ("reference=", nil),
        ("reference", nil),
      ] as [(String, Int?)] {
        let headers: HTTPFields = [.authorization: "Bearer \(key.text)"]
        try await client.execute(uri: "/v1/orders?\(query)", method: .get, headers: headers) { response in
          let body = try? JSONSerialization.jsonObject(with: Data(String(buffer: response.body).utf8)) as? [String: Any]
          #expect((body?["data"] as? [Any])?.count == count, "\(query): \(String(buffer: response.body))")
          #expect(response.status == (count == nil ? .badRequest : .ok) && (count == nil || body?["next"] is NSNull))
        }
      }
    }
  }

  @Test func queriesAreReadAsFormsWriteThem() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    house.know()
    try await Application(router: house.gate().router()).test(.router) { client in
      for (query, status) in [
        ("reference=A+1&status=open", HTTPResponse.Status.ok), ("reference=A%201", .ok), ("reference=A%2B1", .ok),
        ("status=&limit=&after=", .ok), ("limit=1.0", .badRequest),
      ] {
        let headers: HTTPFields = [.authorization: "Bearer \(key.text)"]
        try await client.execute(uri: "/v1/orders?\(query)", method: .get, headers: headers) {
          #expect($0.status == status, "\(query)")
        }
      }
    }
  }

  @Test func severalKeysAreNone() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    house.know()
    let headers = HTTPFields([
      .init(name: .authorization, value: "Bearer \(key.text)"), .init(name: .idempotencyKey, value: "a"),
      .init(name: .idempotencyKey, value: "b"),
    ])
    try await Application(router: house.gate().router()).test(.router) { client in
      let body = ByteBuffer(string: #"{"provider": "sandbox"}"#)
      let uri = "/v1/orders/\(FakeHouse.order.id.text)/payments"
      try await client.execute(uri: uri, method: .post, headers: headers, body: body) { response in
        #expect(response.status == .badRequest)
        #expect(String(buffer: response.body).contains("idempotency_key_invalid"))
      }
    }
  }

  /// By precedence: what does not exist is not found, however wrong the request about it is.
  @Test func whatDoesNotExistIsNotFoundFirst() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    let order = "ord_" + String(repeating: "0", count: 26)
    let payment = "pay_" + String(repeating: "0", count: 27) + "1"
    try await Application(router: house.gate().router()).test(.router) { client in
      for uri in [
        "/v1/orders/\(order)/payments", "/v1/orders/\(order)/close", "/v1/payments/\(payment)/check",
        "/v1/payments/\(payment)/close", "/v1/payments/\(payment)/refunds",
        "/checkout/ck_\(String(repeating: "0", count: 52))/payments",
      ] {
        let headers: HTTPFields = [.authorization: "bearer \(key.text)", .prefer: "wait=never"]
        try await client.execute(uri: uri, method: .post, headers: headers, body: ByteBuffer(string: "{nonsense")) {
          #expect($0.status == .notFound, "\(uri)")
        }
      }
    }
  }

  /// A store that can be read and not written takes no payment, which `readyz` has to say.
  @Test func readyIsWhoCanWrite() async throws {
    let house = FakeHouse()
    let gate = house.gate()
    try await Application(router: gate.router()).test(.router) { client in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await gate.engine.journal.lanes[0].run() }
        try await client.execute(uri: "/readyz", method: .get) { #expect($0.status == .ok) }
        house.fail(.unavailable("disk full"))
        try await client.execute(uri: "/readyz", method: .get) { #expect($0.status == .serviceUnavailable) }
        house.fail(nil)
        try await client.execute(uri: "/readyz", method: .get) { #expect($0.status == .ok) }
        gate.engine.journal.close()
      }
    }
  }

  /// The words that the description has for a property.
  private func words(_ schema: String, _ property: String) throws -> [String] {
    var node: Any? = try JSONSerialization.jsonObject(with: Data(PackageResources.openapi_json))
    for name in ["components", "schemas", schema, "properties", property, "enum"] {
      node = (node as? [String: Any])?[name]
    }
    return try #require(node as? [String])
  }

  /// The currencies that the description names are those that there are.
  @Test func theDescriptionNamesEveryCurrency() throws {
    let named = try words("RegisterOrder", "currency")
    let letters = (UInt8(ascii: "A")...UInt8(ascii: "Z")).map { String(UnicodeScalar($0)) }
    let all = letters.flatMap { a in letters.flatMap { b in letters.map { a + b + $0 } } }
    #expect(named == all.filter { Currency(code: $0) != nil })
  }

  @Test func theDocumentNamesEveryRefusal() throws {
    let named = try words("Problem", "code")
    #expect(Array(named.prefix(RefusalCode.allCases.count)) == RefusalCode.allCases.map(\.rawValue))
    #expect(named.contains("events_archived"))
  }

  /// An id of another kind, or a shop's own number, is told where it belongs.
  @Test func whatIsNoIdIsToldWhereToLook() async throws {
    let house = FakeHouse()
    let key = try await house.newKey()
    let order = FakeHouse.order.id
    let payment = PaymentID(order: order, ordinal: 1).text
    try await Application(router: house.gate().router()).test(.router) { client in
      for (path, says) in [
        ("/v1/orders/A-1001", "GET /v1/orders?reference=A-1001"), ("/v1/orders/A%201", "?reference=…"),
        ("/v1/orders/\(String(repeating: "9", count: 65))", "?reference=…"), ("/v1/payments/A-1", "no payment's id"),
        ("/v1/payments/\(order.text)", "/v1/orders/\(order.text)/payments"), ("/v1/refunds/x", "no refund's id"),
        ("/v1/orders/\(payment)", "GET /v1/payments/\(payment)"),
        ("/v1/refunds/\(payment)", "GET /v1/payments/\(payment)"),
      ] {
        let headers: HTTPFields = [.authorization: "Bearer \(key.text)"]
        try await client.execute(uri: path, method: .get, headers: headers) { response in
          let body = String(buffer: response.body)
          #expect(response.status == .notFound && body.contains(says), "\(path): \(body)")
        }
      }
    }
  }
}
