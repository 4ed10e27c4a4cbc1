package import PaymentCore

/// Asks the providers for money that a store forgot when it was restored from an older copy. A forgotten payment's
/// number is made of its order's, so all that are possible are known: the order's next numbers at every provider, and
/// its payments' numbers at every other provider.
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
    /// Of this order nobody can be asked.
    case unreadable(UnreadableOrder)
  }

  package struct Report: Sendable {
    /// The orders that were asked about.
    package fileprivate(set) var orders = 0
    package fileprivate(set) var found = 0
    package fileprivate(set) var unanswered = 0
    package fileprivate(set) var unreadable = 0
    /// Whether it went on to the end, and was not given up since nobody answers.
    package fileprivate(set) var isComplete = true
  }

  private let reading: any Reading
  private let journal: Journal
  private let providers: [any Provider]
  private let clock: any Clock

  private static let attempts = 3
  /// How many orders are asked about at once.
  private static let width = 16
  private static let page = 500
  /// After how many unknown numbers in a row an order is done. One is not enough: a payment that was closed before it
  /// was sent has used its number up.
  private static let gap = 3
  /// How many questions in a row may stay without an answer.
  private static let patience = 50

  package init(reading: any Reading, journal: Journal, providers: [any Provider], clock: any Clock) {
    self.reading = reading
    self.journal = journal
    self.providers = providers
    self.clock = clock
  }

  /// Asks about every order that could be paid at some time between two instants, and passes over those that cannot be read. What is found is taken in, and settled
  /// by the engine as any other payment. May be repeated: what was taken in is not found again.
  /// - Parameter tell: is given each finding as it is made.
  package func find(
    from start: Instant, to end: Instant, tell: @Sendable (Finding) -> Void
  ) async throws -> Report {
    var report = Report()
    var silence = 0
    func note(_ findings: [Finding]) {
      for finding in findings {
        switch finding {
        case .found: (report.found, silence) = (report.found + 1, 0)
        case .unanswered: (report.unanswered, silence) = (report.unanswered + 1, silence + 1)
        case .unreadable: report.unreadable += 1
        }
        tell(finding)
      }
      if findings.isEmpty { silence = 0 }
    }
    var last: OrderID?
    while true {
      let page = try await reading.orders(payableFrom: start, to: end, after: last, of: Self.page)
      guard let newest = page.last else { return report }
      // Of one that cannot be read only the id says from when it is.
      let unreadable = page.unreadable.filter { OrderID(text: $0.id).map { $0.time <= end } ?? true }
      if !unreadable.isEmpty { note(unreadable.map { .unreadable($0) }) }
      report.isComplete = try await withThrowingTaskGroup(of: [Finding].self) { group in
        for (index, order) in page.orders.enumerated() {
          if index >= Self.width { note(try await group.next() ?? []) }
          if silence >= Self.patience { return false }
          report.orders += 1
          group.addTask { try await find(of: order) }
        }
        for try await findings in group { note(findings) }
        return silence < Self.patience
      }
      if !report.isComplete { return report }
      last = newest
    }
  }

  private func find(of order: Order) async throws(Fault) -> [Finding] {
    var (order, findings, misses, ordinal) = (order, [Finding](), 0, 1)
    while ordinal <= Order.maximumPayments, misses < Self.gap {
      let id = PaymentID(order: order.id, ordinal: ordinal)
      var owner = order.payment(id)?.provider
      for provider in providers where provider.name != owner {
        guard let finding = await ask(provider, about: id, of: order) else { continue }
        guard case .found(let found) = finding else {
          findings.append(finding)
          continue
        }
        if owner == nil, let adopted = try await adopt(id, provider.name, &order) {
          if adopted { findings.append(finding) }
          owner = provider.name
        } else {
          // Under this number the order has a payment of another provider: this one's money is a case for a person.
          findings.append(finding)
          _ = try await journal.submit(
            .evidence(.payment(.init(payment: id, provider: provider.name, call: nil, verdict: found.verdict))),
            by: .payOnce)
        }
      }
      misses = owner == nil ? misses + 1 : 0
      ordinal += 1
    }
    return findings
  }

  /// Takes in a payment, and before it those of which no provider knows.
  /// - Returns: whether it was forgotten; `nil` when its number belongs to another provider's payment.
  private func adopt(_ id: PaymentID, _ provider: ProviderName, _ order: inout Order) async throws(Fault) -> Bool? {
    var isNew = false
    while order.payments.count < id.ordinal {
      let next = PaymentID(order: order.id, ordinal: order.payments.count + 1)
      let outcome = try await journal.submit(.adopt(next, provider), by: .payOnce)
      if case .success(.payment(_, let changed, _)) = outcome {
        isNew = true
        order = changed
      } else {
        // Somebody has paid meanwhile.
        guard let now = try await reading.order(order.id), now.payments.count > order.payments.count else { return nil }
        isNew = false
        order = now
      }
    }
    return order.payment(id)?.provider == provider ? isNew : nil
  }

  /// What a provider knows under a number; `nil` when that is nothing.
  private func ask(_ provider: any Provider, about id: PaymentID, of order: Order) async -> Finding? {
    guard let method = provider.sheet.methods.first, let key = IdempotencyKey(id.text) else { return nil }
    let payment = Payment(
      id: id, key: key, provider: provider.name, method: method, askedMethod: nil,
      amount: order.registration.amount, createdAt: order.createdAt, expiresAt: order.expiresAt)
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
