package import PaymentCore

/// The demo shop's merchant, and its way to the sandbox bank.
package struct DemoShop: Sendable {
  package let merchant: MerchantID
  /// The bank's address, at which a visitor can read its books.
  package let bankURL: String
  /// The name of the current network to the bank; `hand` when its faults are none of ours; `nil` when the bank does not
  /// answer.
  package let network: @Sendable () async -> String?
  package let setNetwork: @Sendable (Network) async -> Void
  /// The bank's books of these payments; `nil` when the bank does not answer.
  package let books: @Sendable ([PaymentNumber]) async -> Books?

  package init(
    merchant: MerchantID, bankURL: String, network: @escaping @Sendable () async -> String?,
    setNetwork: @escaping @Sendable (Network) async -> Void,
    books: @escaping @Sendable ([PaymentNumber]) async -> Books?
  ) {
    self.merchant = merchant
    self.bankURL = bankURL
    self.network = network
    self.setNetwork = setNetwork
    self.books = books
  }

  /// A network between PayOnce and the bank, made by the bank's faults.
  package enum Network: String, CaseIterable, Sendable {
    case good, slow
    case losesRequests = "loses-requests"
    case losesAnswers = "loses-answers"
    case gone, everything

    /// The seed of the bank's random numbers. It identifies the network in the faults that the bank shows.
    private var seed: Int { 701 + (Self.allCases.firstIndex(of: self) ?? 0) }

    package init?(seed: Int) {
      guard let network = Self.allCases.first(where: { $0.seed == seed }) else { return nil }
      self = network
    }

    /// The body of `PUT /faults` that makes this network.
    package var faults: String { "{\"seed\":\(seed)\(conduct)}" }

    private var conduct: String {
      switch self {
      case .good: ""
      case .slow: #","latency_ms":[1500,3000],"delay_notice_ms":[2000,4000]"#
      case .losesRequests: #","lose_request":0.6,"lose_notice":1"#
      case .losesAnswers: #","lose_response":0.6,"lose_notice":1"#
      case .gone: #","lose_request":1,"lose_notice":1"#
      case .everything:
        #","latency_ms":[50,900],"lose_request":0.15,"lose_response":0.25,"fail_500":0.1,"duplicate_notice":0.3,"#
          + #""lose_notice":0.4,"delay_notice_ms":[0,4000]"#
      }
    }
  }

  // swift-format-ignore: AlwaysUseLowerCamelCase
  /// The bank's books, as it shows them.
  package struct Books: Decodable, Sendable {
    package struct Charge: Decodable, Sendable {
      let id: String
      let amount: Int64
      let currency: String
      let status: String
    }
    package struct Refund: Decodable, Sendable {
      let id: String
      let charge: String
      let amount: Int64
    }
    package let charges: [Charge]
    package let refunds: [Refund]
  }
}
