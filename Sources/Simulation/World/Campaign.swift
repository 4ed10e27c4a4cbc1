/// Many worlds, one after the other or side by side, and what came of them all.
package struct Campaign: Sendable {
  package private(set) var tally = Tally()
  package private(set) var worlds = 0
  /// The first seed whose world broke an invariant, if one did.
  package private(set) var failure: Simulation.Result?

  package init() {}

  /// Runs the worlds of these seeds until one breaks an invariant.
  /// - Parameters:
  ///   - width: how many run at the same time, each on a thread of its own.
  ///   - progress: hears of the state of things after each world.
  package static func run(
    seeds: ClosedRange<UInt64>, width: Int, progress: (Campaign) -> Void = { _ in }
  ) async -> Campaign {
    var campaign = Campaign()
    await withTaskGroup(of: Simulation.Result.self) { group in
      var next = seeds.lowerBound
      func start() {
        guard campaign.failure == nil, next <= seeds.upperBound else { return }
        let seed = next
        next += 1
        group.addTask { Simulation.run(seed: seed) }
      }
      for _ in 0..<width { start() }
      while let result = await group.next() {
        campaign.add(result)
        progress(campaign)
        start()
      }
    }
    return campaign
  }

  private mutating func add(_ result: Simulation.Result) {
    worlds += 1
    tally.add(result.tally)
    guard result.violation != nil else { return }
    // The lowest seed, whichever thread was faster.
    if failure.map({ result.seed < $0.seed }) ?? true { failure = result }
  }

  // MARK: For people

  /// - Parameter milliseconds: how long it took.
  package func summary(milliseconds: Int64) -> String {
    let seconds = Swift.max(1, milliseconds) / 1000
    let hours = tally.virtualMilliseconds / 3_600_000
    let perSecond = Int64(tally.orders) * 1000 / Swift.max(1, milliseconds)
    let lines: [(Int, String)] = [
      (tally.orders, "orders, \(tally.paidOrders) of them paid"),
      (tally.payments, "payments started"),
      (tally.duplicatesPrevented, "second payments refused"),
      (tally.waits, "waits for a change"),
      (tally.captures, "times a bank took money"),
      (tally.lostRequests, "requests to banks lost"),
      (tally.lostAnswers, "answers of banks lost after they had acted"),
      (tally.doubledRequests, "requests doubled on the way"),
      (tally.refusedConnections, "connections refused"),
      (tally.lostNotices, "notices lost"),
      (tally.lateSuccesses, "payments that succeeded after their close"),
      (tally.surplusReturned, "surplus payments, each returned in full, once"),
      (tally.refundsTakenBack, "refunds that succeeded and then failed"),
      (tally.returnedByProviders, "returns and disputes made behind our back"),
      (tally.crashes, "nodes killed"),
      (tally.freezes, "nodes frozen and thawed"),
      (tally.wrongClocks, "clocks set wrong, by a minute to a month"),
      (tally.storeFaults, "failures of the store"),
      (tally.forgottenStores, "times the store forgot what it had acknowledged"),
      (tally.found, "forgotten payments and refunds that were found"),
    ]
    let width = lines.map { String($0.0).count }.max() ?? 1
    let body = lines.map { count, text in
      String(repeating: " ", count: 2 + width - String(count).count) + "\(count)  \(text)"
    }
    let head = "\(worlds) worlds, \(hours) virtual hours in \(seconds) s: \(perSecond) orders a second"
    return ([head] + body).joined(separator: "\n")
  }
}

extension Simulation.Result {
  /// What broke, and the story of the order at fault.
  package var report: String {
    let head = "seed \(seed) breaks \(violation ?? "nothing")"
    return ([head, ""] + story + ["", "replay it with: payonce simulate --seed \(seed)"]).joined(separator: "\n")
  }
}
