package import PaymentCore

/// After a store was restored from an older copy, asks the providers for the money that it forgot. The numbers that a
/// forgotten payment can have are known, since they are made of its order's: the next one of the order at any provider,
/// and those of its payments at all the other ones.
package struct ForgottenPayments: Sendable {
  package struct Found: Sendable {
    package let payment: PaymentID
    package let provider: ProviderName
    package let verdict: PaymentEvidence.Verdict
  }

  package enum Finding: Sendable {
    case found(Found)
    /// The provider gave no answer about this number, however often it was asked.
    case unanswered(PaymentID, ProviderName)
  }

  package struct Report: Sendable {
    /// The orders that were asked about.
    package fileprivate(set) var orders = 0
    package fileprivate(set) var found = 0
    package fileprivate(set) var unanswered = 0
  }

  private let reading: any Reading
  private let journal: Journal
  private let providers: [any Provider]
  private let clock: any Clock

  private static let attempts = 3
  /// How many orders are asked about at once.
  private static let width = 16
  private static let page = 200

  package init(reading: any Reading, journal: Journal, providers: [any Provider], clock: any Clock) {
    self.reading = reading
    self.journal = journal
    self.providers = providers
    self.clock = clock
  }

  /// Asks about every order that could be paid at some time between two instants. What is found is taken in, and settled
  /// by the engine as any other payment. May be repeated: what was taken in is not found again.
  /// - Parameter tell: is given each finding as it is made.
  package func find(
    from start: Instant, to end: Instant, tell: @Sendable (Finding) -> Void
  ) async throws -> Report {
    var report = Report()
    func note(_ findings: [Finding]) {
      for finding in findings {
        if case .found = finding { report.found += 1 } else { report.unanswered += 1 }
        tell(finding)
      }
    }
    var last: OrderID?
    while true {
      let orders = try await reading.orders(payableFrom: start, to: end, after: last, limit: Self.page)
      guard let newest = orders.last else { return report }
      try await withThrowingTaskGroup(of: [Finding].self) { group in
        for (index, order) in orders.enumerated() {
          if index >= Self.width { note(try await group.next() ?? []) }
          group.addTask { try await find(of: order) }
        }
        for try await findings in group { note(findings) }
      }
      report.orders += orders.count
      last = newest.id
    }
  }

  private func find(of order: Order) async throws(Fault) -> [Finding] {
    var findings: [Finding] = []
    for ordinal in 1...Order.maximumPayments {
      let id = PaymentID(order: order.id, ordinal: ordinal)
      var owner = order.payment(id)?.provider
      for provider in providers where provider.name != owner {
        guard let finding = await ask(provider, about: id, of: order) else { continue }
        findings.append(finding)
        guard case .found(let found) = finding else { continue }
        if owner == nil {
          _ = try await journal.submit(.adopt(id, provider.name))
          owner = provider.name
        } else {
          // Under this number the order has a payment of another provider: this one's money is a case for a person.
          _ = try await journal.submit(
            .evidence(.payment(.init(payment: id, provider: provider.name, call: nil, verdict: found.verdict))))
        }
      }
      if owner == nil { break }
    }
    return findings
  }

  /// What a provider knows under a number; `nil` when that is nothing.
  private func ask(_ provider: any Provider, about id: PaymentID, of order: Order) async -> Finding? {
    guard let method = provider.sheet.methods.first, let key = IdempotencyKey(id.text) else { return nil }
    let payment = Payment(
      id: id, key: key, provider: provider.name, method: method, amount: order.registration.amount,
      createdAt: order.createdAt, expiresAt: order.expiresAt)
    for attempt in 1...Self.attempts {
      if attempt > 1 { try? await clock.sleep(for: .seconds(attempt)) }
      guard case .payment(let evidence) = await provider.perform(order.query(payment)) else { continue }
      switch evidence.verdict {
      case .notFound: return nil
      case .unknown, .notSent, .rejected: continue
      case let verdict: return .found(Found(payment: id, provider: provider.name, verdict: verdict))
      }
    }
    return .unanswered(id, provider.name)
  }
}
