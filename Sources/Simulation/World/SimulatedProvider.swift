import PaymentCore
import PaymentEngine

/// The way from one node to a provider, with everything that happens to requests and answers on it. What comes home is
/// evidence, by the rules that real adapters go by.
struct SimulatedProvider: Provider {
  let bank: SimulatedBank
  let life: NodeLife
  let world: World
  /// Whether an operator asks, beside what is leased.
  var isInquiry = false

  var name: ProviderName { bank.kind.name }
  var sheet: CapabilitySheet { bank.kind.sheet }

  func read(_ notice: Notice, now: Instant) -> NoticeReading { .irrelevant }

  func perform(_ call: Call) async -> Evidence {
    let request = request(of: call)
    guard !life.isOver else { return evidence(call, .notSent) }
    if !isInquiry { world.auditor.leaves(call, from: self) }
    defer { if !isInquiry { world.auditor.ends(call) } }
    let (dice, weather, clock) = (world.dice, world.weather, world.clock)
    if world.isDown(bank.kind) || dice.happens(weather.refusesConnection) {
      world.tally.refusedConnections += 1
      try? await clock.sleep(dice.within(1...50))
      return evidence(call, .notSent)
    }
    world.auditor.goes(call, to: bank.kind)
    let slot = Slot<Reply>()
    let there = dice.within(0...weather.longestDelay)
    if dice.happens(weather.losesRequest) {
      world.tally.lostRequests += 1
      end(slot, after: there)
    } else {
      clock.after(there) { arrive(request, call, slot) }
      if dice.happens(weather.doublesRequest) {
        world.tally.doubledRequests += 1
        clock.after(there + dice.within(0...120_000)) { arrive(request, call, nil) }
      }
    }
    let reply = await withTaskCancellationHandler {
      await slot.value()
    } onCancel: {
      slot.fill(.none)
    }
    return evidence(call, reply)
  }

  /// What is known about a request that was made.
  enum Reply: Sendable {
    case answer(SimulatedBank.Answer)
    case error
    /// A 4xx about the request itself.
    case rubbish
    /// The connection ended, or the time was over.
    case none
    case notSent
    case notNow(Duration)
  }

  /// The request comes to the bank, whether or not anybody still waits for its answer.
  private func arrive(_ request: SimulatedBank.Request, _ call: Call, _ slot: Slot<Reply>?) {
    let (dice, weather) = (world.dice, world.weather)
    let isError = dice.happens(weather.answersError)
    if isError, dice.happens(500) { return answer(.error, slot) }
    if dice.happens(weather.saysNotNow) { return answer(.notNow(.seconds(dice.within(1...600))), slot) }
    if dice.happens(weather.answersRubbish) { return answer(.rubbish, slot) }
    let lag = call.kind == .query ? Int64(dice.within(0...weather.longestLag)) : 0
    let reply = Reply.answer(bank.handle(request, lag: lag))
    if isError { return answer(.error, slot) }
    if dice.happens(weather.losesAnswer) {
      world.tally.lostAnswers += 1
      guard let slot else { return }
      return end(slot, after: dice.within(0...weather.longestDelay))
    }
    answer(reply, slot)
  }

  private func answer(_ reply: Reply, _ slot: Slot<Reply>?) {
    guard let slot else { return }
    world.clock.after(world.dice.within(0...world.weather.longestDelay)) { slot.fill(reply) }
  }

  /// A loss is a connection that ends, or silence until the caller's time is over.
  private func end(_ slot: Slot<Reply>, after delay: Int) {
    if world.dice.happens(500) { world.clock.after(delay) { slot.fill(.none) } }
  }

  // MARK: Encoding and decoding

  private func request(of call: Call) -> SimulatedBank.Request {
    let trade = call.tradeNumber
    switch (call.kind, call.refund) {
    case (.charge, _): return .create(call)
    case (.query, _): return .query(trade)
    case (.close, _): return .close(trade)
    case (.refund, let refund?): return .refund(refund.number, of: trade, refund.amount)
    case (.queryRefund, let refund?): return .queryRefund(refund.number, of: trade)
    case (.refund, nil), (.queryRefund, nil): preconditionFailure("a refund's call has its refund")
    }
  }

  private func evidence(_ call: Call, _ reply: Reply) -> Evidence {
    if let refund = call.refund {
      return .refund(.init(refund: refund.id, provider: name, call: call.number, verdict: verdict(reply, call)))
    }
    var state: Charge.State?
    if case .answer(.charge(let answered)) = reply { state = answered }
    return .payment(
      .init(
        payment: call.payment, provider: name, call: call.number, verdict: verdict(reply, call),
        capturedAt: state?.capturedAt, returns: state?.listed(by: bank.kind) ?? []))
  }

  private func verdict(_ reply: Reply, _ call: Call) -> PaymentEvidence.Verdict {
    switch reply {
    case .notSent: .notSent
    case .notNow(let wait): .notNow(wait)
    case .none: .unknown("no answer")
    case .error: .unknown("the provider answered 500")
    case .rubbish: .rejected(Failure(code: "try_later", message: ""))
    case .answer(.charge(let state)): bank.kind.verdict(state)
    case .answer(.notFound): call.kind == .query ? .notFound : .rejected(Failure(code: "not_found", message: ""))
    case .answer(.softlyClosed): .closedSoftly
    case .answer(.refused(let code)): .rejected(Failure(code: code, message: ""))
    case .answer(.refund): .unknown("an answer to another question")
    }
  }

  private func verdict(_ reply: Reply, _ call: Call) -> RefundEvidence.Verdict {
    switch reply {
    case .notSent: .notSent
    case .notNow(let wait): .notNow(wait)
    case .none: .unknown("no answer")
    case .error, .rubbish: .unknown("the provider answered with an error")
    case .answer(.refund(true, let amount)): .succeeded(amount)
    case .answer(.refund(false, _)): .failed(Failure(code: "taken_back", message: ""))
    case .answer(.notFound) where call.kind == .queryRefund: .notFound
    case .answer(.refused("content_mismatch")): .unknown("the provider has another refund of this number")
    case .answer(.refused(let code)): .refused(Failure(code: code, message: ""))
    case .answer: .unknown("an answer to another question")
    }
  }
}

extension BankKind {
  /// What a charge's state proves.
  func verdict(_ state: Charge.State) -> PaymentEvidence.Verdict {
    let action: NextAction =
      switch self {
      case .sandbox: .redirect(url: "\(state.number)")
      case .stripe: .clientSecret("\(state.number)")
      case .alipay, .wechat: .qrCode(content: "\(state.number)")
      }
    switch state.status {
    case .captured: return .succeeded(state.captured!)
    case .declined: return .failed(Failure(code: "declined", message: ""))
    case .closed: return .closed
    case .open: return state.isDeclined ? .declined(Failure(code: "card", message: ""), action) : .pending(action)
    }
  }
}

extension NextAction {
  /// The charge at the bank that a buyer's page, code or secret is for.
  var charge: Int? {
    switch self {
    case .redirect(let text), .qrCode(let text), .clientSecret(let text): Int(text)
    }
  }
}

/// A value that somebody waits for; the first one counts.
final class Slot<Value: Sendable>: @unchecked Sendable {
  // A world runs on one thread; see `SeededExecutor`.
  private var isFilled = false
  private var filled: Value?
  private var waiting: CheckedContinuation<Value, Never>?

  func fill(_ value: Value) {
    guard !isFilled else { return }
    isFilled = true
    if let waiting { waiting.resume(returning: value) } else { filled = value }
    waiting = nil
  }

  func value() async -> Value {
    await withCheckedContinuation { continuation in
      if let filled { continuation.resume(returning: filled) } else { waiting = continuation }
    }
  }
}
