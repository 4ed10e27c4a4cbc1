package import PaymentCore

/// Asks the providers for money that a store forgot when it was restored from an older copy. A forgotten payment's
/// number is made of its order's, so all that are possible are known: the order's next numbers at every provider, and
/// its payments' numbers at every other provider. Refunds of surplus money have numbers that are known, too; those that a
/// shop asked for stand in what a provider says about the payment, where it lists them there.
package struct ForgottenPayments: Sendable {
  package enum Finding: Sendable {
    case payment(PaymentID, PaymentNumber, ProviderName, PaymentEvidence.Verdict)
    case refund(Refund, ProviderName)
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
  private let numbering: Numbering
  private let clock: any Clock

  private static let attempts = 3
  /// How many orders are asked about at once.
  private static let width = 16
  private static let page = 500
  /// After how many unknown numbers in a row an order is done. One is not enough: a payment that was closed before it
  /// was sent has used its number up.
  package static let gap = 5
  /// How many questions in a row may stay without an answer.
  private static let patience = 50

  package init(
    reading: any Reading, journal: Journal, providers: [any Provider], numbering: Numbering, clock: any Clock
  ) {
    self.reading = reading
    self.journal = journal
    self.providers = providers
    self.numbering = numbering
    self.clock = clock
  }

  /// Asks about every order that could be paid at some time between two instants, and passes over those that cannot be
  /// read. What is found is taken in, and settled by the engine as any other payment. May be repeated: what was taken in is
  /// not found again.
  /// - Parameters:
  ///   - paidSince: orders that were paid since then are asked about, too, since some of their money may have gone back.
  ///   - tell: is given each finding as it is made.
  package func find(
    from start: Instant, to end: Instant, paidSince: Instant? = nil, tell: @Sendable (Finding) -> Void
  ) async throws -> Report {
    var report = Report()
    var silence = 0
    func note(_ findings: [Finding]) {
      for finding in findings {
        switch finding {
        case .payment, .refund: (report.found, silence) = (report.found + 1, 0)
        case .unanswered: (report.unanswered, silence) = (report.unanswered + 1, silence + 1)
        case .unreadable: report.unreadable += 1
        }
        tell(finding)
      }
      if findings.isEmpty { silence = 0 }
    }
    var last: OrderID?
    while true {
      let page = try await reading.orders(
        payableFrom: start, to: end, paidSince: paidSince ?? start, after: last, of: Self.page)
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
      for provider in providers {
        let isOwner = provider.name == owner
        // Those are asked about anyhow.
        if isOwner, order.payment(id).map({ $0.isLive || $0.isWatched }) ?? false { continue }
        let evidence: PaymentEvidence
        switch await ask(provider, about: id, of: order) {
        case .said(let said): evidence = said
        case .nothing: continue
        case .unanswered:
          findings.append(.unanswered(id, provider.name))
          continue
        }
        let finding = Finding.payment(id, order.number(of: id), provider.name, evidence.verdict)
        if isOwner {
          let before = order.payment(id)
          findings += try await takeIn(evidence, id, from: provider, &order)
          // Of one that had ended before it was sent the store has forgotten that it was sent.
          if order.payment(id)?.state != before?.state { findings.append(finding) }
        } else if owner == nil, let adopted = try await adopt(id, provider.name, &order) {
          if adopted { findings.append(finding) }
          owner = provider.name
          findings += try await takeIn(evidence, id, from: provider, &order)
        } else {
          // Under this number the order has a payment of another provider: this one's money is a case for a person.
          findings.append(finding)
          _ = try await journal.submit(
            .evidence(.payment(.init(payment: id, provider: provider.name, call: nil, verdict: evidence.verdict))),
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

  /// Takes in what a provider says about a payment, and what it returned of its money.
  /// - Returns: what went back and was forgotten.
  private func takeIn(
    _ evidence: PaymentEvidence, _ id: PaymentID, from provider: any Provider, _ order: inout Order
  ) async throws(Fault) -> [Finding] {
    let known = order.refunds.count
    var (evidence, findings) = (evidence, [Finding]())
    if case .succeeded(let received) = evidence.verdict, let payment = order.payment(id) {
      // An earlier life of it may have been surplus: then no list of a shop's refunds names what went back.
      guard let returns = await surplusReturns(of: payment, received, from: provider, order) else {
        return [.unanswered(id, provider.name)]
      }
      evidence = evidence.adding(returns)
      findings += try await askAboutRefunds(of: payment, from: provider, order)
    }
    _ = try await journal.submit(.evidence(.payment(evidence)), by: .payOnce)
    order = try await reading.order(order.id) ?? order
    let found = order.refunds.dropFirst(known).filter { $0.status == .succeeded }
    return findings + found.map { .refund($0, provider.name) }
  }

  /// Hears how the refunds ended that the store knows: it may have forgotten that one failed after all.
  private func askAboutRefunds(
    of payment: Payment, from provider: any Provider, _ order: Order
  ) async throws(Fault) -> [Finding] {
    let trade = order.number(of: payment.id)
    for refund in order.refunds where refund.payment == payment.id && refund.status != .processing {
      guard let number = refund.number else { continue }
      let call = order.queryRefund(number, of: payment, refund.amount)
      guard case .refund(let said)? = await ask(provider, call) else { return [.unanswered(payment.id, provider.name)] }
      let verdict: RefundEvidence.Verdict
      switch said.verdict {
      case .succeeded(let returned): verdict = .succeeded(returned ?? refund.amount)
      case .failed: verdict = said.verdict
      default: continue
      }
      let evidence = RefundEvidence(
        number: number, of: trade, provider: provider.name, verdict: verdict, reference: said.reference)
      _ = try await journal.submit(.evidence(.refund(evidence)), by: .payOnce)
    }
    return []
  }

  /// What went back of a payment under the numbers that it would have as surplus.
  /// - Returns: `nil` where there was no answer.
  private func surplusReturns(
    of payment: Payment, _ received: Money, from provider: any Provider, _ order: Order
  ) async -> [PaymentEvidence.Return]? {
    var returns: [PaymentEvidence.Return] = []
    for earlier in 0..<Order.maximumSurplusNumbers {
      let number = numbering.surplusRefund(of: order.number(of: payment.id), after: earlier)
      guard case .refund(let said)? = await ask(provider, order.queryRefund(number, of: payment, received)) else {
        return nil
      }
      switch said.verdict {
      case .succeeded(let amount):
        returns.append(
          .init(
            reference: said.reference ?? number.text, number: number, amount: amount ?? received, isDispute: false))
      case .notFound: return returns
      case .failed: continue
      // It is on its way.
      default: return nil
      }
    }
    return returns
  }

  private enum Reply {
    /// What the provider knows under a number.
    case said(PaymentEvidence)
    case nothing
    case unanswered
  }

  private func ask(_ provider: any Provider, about id: PaymentID, of order: Order) async -> Reply {
    guard let method = provider.sheet.methods.first, let key = IdempotencyKey(id.text) else { return .nothing }
    let payment = Payment(
      id: id, key: key, provider: provider.name, method: method, askedMethod: nil,
      amount: order.registration.amount, createdAt: order.createdAt, expiresAt: order.expiresAt)
    guard case .payment(let evidence)? = await ask(provider, order.query(payment)) else { return .unanswered }
    if case .notFound = evidence.verdict { return .nothing }
    // It answers no call that was leased.
    return .said(
      PaymentEvidence(
        payment: id, provider: provider.name, call: nil, verdict: evidence.verdict, reference: evidence.reference,
        capturedAt: evidence.capturedAt, returns: evidence.returns, isWhole: true))
  }

  /// - Returns: `nil` where there was no answer, however often it was asked.
  private func ask(_ provider: any Provider, _ call: Call) async -> Evidence? {
    for attempt in 1...Self.attempts {
      if attempt > 1 { try? await clock.sleep(for: .seconds(attempt)) }
      let evidence = await provider.perform(call)
      switch evidence {
      case .payment(let said):
        switch said.verdict {
        case .unknown, .notSent, .notNow, .rejected: continue
        default: return evidence
        }
      case .refund(let said):
        switch said.verdict {
        case .unknown, .notSent, .notNow, .refused: continue
        default: return evidence
        }
      }
    }
    return nil
  }
}
