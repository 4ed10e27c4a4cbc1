package import Logging
import PaymentCore
import Synchronization

/// Makes the calls that stored orders say are due, and brings back what they proved. Requests wait for calls, they never
/// own one: a buyer who hangs up cancels nothing.
package final class Dispatcher: Sendable {
  private struct Item {
    let call: Call
    /// When it was leased, by this process's own clock.
    let leasedAt: Duration
  }
  private struct State {
    var queue: [Item] = []
    /// Of every provider by itself, so that a slow one takes nothing from the others.
    var places: [ProviderName: CallPlaces]
    /// The calls under way, the oldest first.
    var flights: [Flight] = []
    /// `run`, while there is nothing to make; `watchFlights`, while nothing is under way.
    var parked: CheckedContinuation<Void, Never>?
    var parkedWatch: CheckedContinuation<Void, Never>?
    /// The providers of calls that are due and cannot be made here: the log names each of them once.
    var missing: Set<ProviderName> = []
    var isStopping = false
    /// A call that is admitted is under way, also while its lease is being stored.
    var isOver: Bool { isStopping && places.values.allSatisfy(\.isIdle) }
  }

  private let state: Mutex<State>
  private let providers: [ProviderName: any Provider]
  private let names: [ProviderName]
  private let schedule: Schedule
  private let clock: any Clock
  private let logger: Logger

  package init(accounts: [ProviderAccount], limits: Limits, clock: any Clock, logger: Logger) {
    providers = Dictionary(uniqueKeysWithValues: accounts.map { ($0.account.provider, $0.adapter) })
    names = accounts.map(\.account.provider)
    let places = CallPlaces(limit: limits.calls, waiting: limits.waitingCalls)
    state = Mutex(State(places: providers.mapValues { _ in places }))
    schedule = limits.schedule
    self.clock = clock
    self.logger = logger
  }

  /// Takes a place for a call, before its lease is stored. A call that has one is enqueued or released; another one waits
  /// in line.
  /// - Returns: for how long to put it off; `nil` when it has its place.
  func admit(_ call: Call) -> Duration? {
    // Whoever comes after this process finds it due.
    if isStopping { return .zero }
    guard providers[call.provider] != nil else {
      if state.withLock({ $0.missing.insert(call.provider).inserted }) {
        logger.warning(
          "a provider is turned off at this server, and a call to it waits",
          metadata: ["provider": "\(call.provider.text)"])
      }
      return .seconds(60)
    }
    let uptime = clock.uptime()
    return state.withLock { $0.isStopping ? .zero : $0.places[call.provider]!.admit(call, uptime: uptime) }
  }

  /// What of an order was put off and has its turn now.
  func recalled(_ order: OrderID) -> [Call.Subject] {
    state.withLock { state in names.flatMap { state.places[$0]!.recalled(order) } }
  }

  /// Gives back the places of calls that are not made, since their leases were not stored.
  func release(_ calls: [Call]) { wake { state in for call in calls { state.places[call.provider]!.release(call) } } }

  /// Hands over calls whose leases are stored.
  /// - Parameter leasedAt: the uptime at which the leases began.
  func enqueue(_ calls: [Call], leasedAt: Duration) {
    guard !calls.isEmpty else { return }
    wake { $0.queue.append(contentsOf: calls.map { Item(call: $0, leasedAt: leasedAt) }) }
  }

  /// Makes calls until `stop`; returns when the last one that was admitted is done.
  package func run(reportingTo journal: Journal) async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.watchFlights() }
      while true {
        let (items, isOver) = state.withLock { state in
          defer { state.queue = [] }
          return (state.queue, state.isOver)
        }
        for item in items { group.addTask { await self.make(item, journal) } }
        if items.isEmpty {
          if isOver {
            await handBack(journal)
            break
          }
          await park { state, continuation in
            guard state.queue.isEmpty, !state.isOver else { return false }
            state.parked = continuation
            return true
          }
        }
      }
      group.cancelAll()
    }
  }

  var isStopping: Bool { state.withLock { $0.isStopping } }

  /// Admits no more calls; those under way come to their end.
  package func stop() { wake { $0.isStopping = true } }

  /// Changes the state and lets `run` look at it.
  private func wake<Value: Sendable>(_ change: (inout State) -> Value) -> Value {
    let (value, parked, watch) = state.withLock { state in
      let value = change(&state)
      let watch = state.isOver ? state.parkedWatch : nil
      if watch != nil { state.parkedWatch = nil }
      defer { state.parked = nil }
      return (value, state.parked, watch)
    }
    parked?.resume()
    watch?.resume()
    return value
  }

  /// - Parameter take: keeps the continuation, or says that there is something to do.
  private func park(_ take: @Sendable (inout State, CheckedContinuation<Void, Never>) -> Bool) async {
    await withCheckedContinuation { continuation in
      if !state.withLock({ take(&$0, continuation) }) { continuation.resume() }
    }
  }

  private func make(_ item: Item, _ journal: Journal) async {
    let call = item.call
    let provider = providers[call.provider]!
    // A call that cannot end inside its lease is dropped, since somebody else may be making it by then.
    let isLate = clock.uptime() - item.leasedAt > schedule.clockTolerance
    let evidence = isLate ? call.evidence(.notSent) : await perform(call, provider)
    let uptime = clock.uptime()
    state.withLock {
      $0.places[call.provider]!.land(call, isAnswer: isLate ? nil : evidence.isAnswer, uptime: uptime)
    }
    logger.log(
      level: evidence.isAnswer ? .debug : .info, "provider call",
      metadata: call.metadata.merging(evidence.metadata) { $1 })
    await report(evidence, of: call, to: journal)
    await callUp(after: call.payment.order, at: call.provider, journal)
  }

  // MARK: Who waits in line

  /// Calls up the next in line of each provider, if there is a place. More follow when it is done. Whoever comes home
  /// does the same; this finds out whether a provider is back, and goes on where the store did not.
  func callUp(reportingTo journal: Journal) async {
    for name in names { await callUp(after: nil, at: name, journal, most: 1) }
  }

  /// Settles a command, and wakes those in line one after the other, for as long as there are places.
  private func callUp(
    after order: OrderID?, at provider: ProviderName, _ journal: Journal, most: Int = .max
  ) async {
    var (done, left) = (order, most)
    while true {
      let uptime = clock.uptime()
      let next = wake { state -> OrderID? in
        if let done { state.places[provider]!.settle(done) }
        return state.isStopping || left == 0 ? nil : state.places[provider]!.callUp(uptime: uptime)
      }
      guard let next else { return }
      left = await wakeUp(next, journal) ? left - 1 : 0
      done = next
    }
  }

  /// - Returns: whether the store does its work. An order that was not woken comes back by itself.
  private func wakeUp(_ order: OrderID, _ journal: Journal) async -> Bool {
    do throws(Fault) { _ = try await journal.submit(.wake(order), by: .payOnce) } catch { return error == .conflict }
    return true
  }

  /// Makes due what waits in line at the end, so that the next process, or another node, need not wait.
  private func handBack(_ journal: Journal) async {
    for name in names {
      while true {
        let some = state.withLock { $0.places[name]!.dismiss(Self.handedBack) }
        let isStored = await withTaskGroup(of: Bool.self) { group in
          for order in some { group.addTask { await self.wakeUp(order, journal) } }
          return await group.allSatisfy { $0 }
        }
        state.withLock { state in for order in some { state.places[name]!.settle(order) } }
        guard isStored, !some.isEmpty else { break }
      }
    }
  }

  /// How many at once.
  private static let handedBack = 256

  /// The call, or doubt once its time is over.
  private func perform(_ call: Call, _ provider: any Provider) async -> Evidence {
    let flight = Flight(endsBy: clock.uptime() + schedule.callTimeout)
    let watch = state.withLock { state in
      state.flights.append(flight)
      defer { state.parkedWatch = nil }
      return state.parkedWatch
    }
    watch?.resume()
    defer { state.withLock { $0.flights.removeAll { $0 === flight } } }
    return await withTaskGroup(of: Void.self) { group in
      group.addTask { flight.land(with: await provider.perform(call)) }
      let evidence = await flight.evidence()
      group.cancelAll()
      return evidence ?? call.evidence(.unknown("no answer within \(schedule.callTimeout.wholeMilliseconds) ms"))
    }
  }

  /// Ends the calls whose time is over, until the last one is done. There is one timer for all. A timer for each call
  /// would outlive the call, and at thousands of calls a second timers would be most of what the process holds.
  private func watchFlights() async {
    while !Task.isCancelled {
      guard let first = state.withLock({ $0.flights.first?.endsBy }) else {
        await park { state, continuation in
          guard state.flights.isEmpty, !state.isOver else { return false }
          state.parkedWatch = continuation
          return true
        }
        if state.withLock(\.isOver) { return }
        continue
      }
      // All calls have the same time-out, so the oldest ends first.
      try? await clock.sleep(for: max(first - clock.uptime(), .milliseconds(1)))
      let now = clock.uptime()
      for flight in state.withLock({ $0.flights }) where flight.endsBy <= now { flight.land(with: nil) }
    }
  }

  /// Stores the evidence. It is dropped after `reports` tries. Its lease has lapsed by then, and the provider is asked
  /// again.
  private func report(_ evidence: Evidence, of call: Call, to journal: Journal) async {
    var wait: Duration = .milliseconds(50)
    for _ in 0..<Self.reports {
      do throws(Fault) {
        _ = try await journal.submit(.evidence(evidence), by: .payOnce)
        return
      } catch {
        logger.warning(
          "evidence waits for the store", metadata: call.metadata.merging(["fault": "\(error)"]) { $1 })
        guard (try? await clock.sleep(for: wait)) != nil else { return }
        wait = min(wait * 2, .seconds(5))
      }
    }
  }

  /// How often evidence is offered to a store that fails. The pauses between, 50 ms and doubling to 5 s, are half a
  /// minute in all.
  private static let reports = 12
}

extension Call {
  /// Evidence about this very call.
  fileprivate func evidence(_ doubt: Doubt) -> Evidence {
    if let refund {
      .refund(.init(refund: refund.id, provider: provider, call: number, verdict: doubt.ofRefund))
    } else {
      .payment(.init(payment: payment, provider: provider, call: number, verdict: doubt.ofPayment))
    }
  }

  fileprivate enum Doubt {
    case notSent
    case unknown(String)
    var ofPayment: PaymentEvidence.Verdict {
      switch self {
      case .notSent: .notSent
      case .unknown(let reason): .unknown(reason)
      }
    }
    var ofRefund: RefundEvidence.Verdict {
      switch self {
      case .notSent: .notSent
      case .unknown(let reason): .unknown(reason)
      }
    }
  }
}

extension Evidence {
  /// Whether the provider answered at all, whatever it said.
  fileprivate var isAnswer: Bool {
    switch self {
    case .payment(let evidence):
      switch evidence.verdict {
      case .notSent, .notNow, .unknown: false
      default: true
      }
    case .refund(let evidence):
      switch evidence.verdict {
      case .notSent, .notNow, .unknown: false
      default: true
      }
    }
  }
}
