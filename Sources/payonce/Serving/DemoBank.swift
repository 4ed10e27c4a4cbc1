import AsyncHTTPClient
import Demo
import Foundation
import NIOCore
import NIOHTTP1
import PaymentCore

/// The demo's way to the sandbox bank's faults and books.
struct DemoBank: Sendable {
  let client: HTTPClient
  let url: String
  /// The key for faults and books; a bank that other machines can reach asks for it.
  private let key = Setting.value(nil, .bankKey)

  init(client: HTTPClient, url: String) {
    self.client = client
    self.url = url
  }

  func network() async -> String? {
    guard let body = await get("/faults"),
      let faults = try? JSONSerialization.jsonObject(with: body) as? [String: Any]
    else { return nil }
    if let network = (faults["seed"] as? Int).flatMap(DemoShop.Network.init(seed:)) { return network.rawValue }
    let isHarmless = faults.allSatisfy { name, value in
      name == "seed" || value as? Double == 0 || value as? [Double] == [0, 0]
    }
    return isHarmless ? DemoShop.Network.good.rawValue : "hand"
  }

  func books(of payments: [PaymentNumber]) async -> DemoShop.Books? {
    let body = await get("/books?charges=" + payments.map(\.text).joined(separator: ","))
    return body.flatMap { try? JSONDecoder().decode(DemoShop.Books.self, from: $0) }
  }

  func set(_ network: DemoShop.Network) async {
    var request = request("/faults")
    request.method = .PUT
    request.body = .bytes(ByteBuffer(string: network.faults))
    // A lost answer needs no care: the page shows what the bank says afterwards.
    if let response = try? await client.execute(request, timeout: .seconds(2)) {
      _ = try? await response.body.collect(upTo: 65_536)
    }
  }

  private func request(_ path: String) -> HTTPClientRequest {
    var request = HTTPClientRequest(url: url + path)
    if let key { request.headers.add(name: "authorization", value: "Bearer \(key)") }
    return request
  }

  private func get(_ path: String) async -> Data? {
    guard let response = try? await client.execute(request(path), timeout: .seconds(2)),
      let body = try? await response.body.collect(upTo: 1_048_576)
    else { return nil }
    return Data(body.readableBytesView)
  }
}
