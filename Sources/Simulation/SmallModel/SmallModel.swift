import PaymentCore

/// The attempt protocol, checked to the end: one order, two payments, and every order in which what can happen may
/// happen. Where a `World` throws dice, this one goes every way, over the same `decide`.
///
/// States that differ only in how long ago something was, as far as nobody asks about it any more, are one state; so
/// there is no bound on time.
package struct SmallModel {
  package struct Report: Sendable {
    package let name: String
    package fileprivate(set) var states = 0
    package fileprivate(set) var steps = 0
    /// What broke, and the shortest way there.
    package fileprivate(set) var violation: String?
    package fileprivate(set) var story: [String] = []

    /// For people.
    package var text: String {
      let head = "\(name): \(states) states, \(steps) steps"
      guard let violation else { return head }
      return ([head, "BROKEN: \(violation)", ""] + story).joined(separator: "\n")
    }
  }

  /// Where it gives up, and says so as a violation.
  private static let mostStates = 50_000_000

  private let bank: ModelBank
  private let rules: Rules
  private let faults: Int

  /// - Parameter faults: how many there may be on one way: a time-out, a refused connection, a request that arrives
  ///   twice, an error that means nothing, a node that dies or freezes, a provider that is busy, a reader who has it asked.
  init(_ bank: ModelBank, faults: Int) {
    self.bank = bank
    self.faults = faults
    var rules = Rules(accounts: [Account(bank.kind.name, bank.sheet)], numbering: .simulated)
    rules.schedule.callTimeout = .seconds(1)
    // A second more for whoever asks, two more until money is moved again.
    rules.schedule.leaseMargin = .seconds(3)
    rules.schedule.queries = [.seconds(1)]
    rules.schedule.jitterPercent = 0
    rules.schedule.watchMargin = .seconds(1)
    rules.schedule.readerInterval = .zero
    self.rules = rules
  }

  // MARK: The search

  private struct Parent {
    /// `nil` for that of the start.
    let state: UInt128?
    let action: UInt8
  }

  /// Where a step leads, and what it breaks.
  private struct Way: Hashable {
    let key: UInt128
    let broken: String?
  }

  /// Visits every state, nearest first, until one breaks a rule.
  func check() -> Report {
    var report = Report(name: bank.name)
    let start = ModelState(bank, rules, faults)
    var layer = [(key: start.key(bank, rules), state: start)]
    var parents = [layer[0].key: Parent(state: nil, action: 0)]
    var calm: Set<UInt128> = []
    var waysOn: [UInt128: Set<Way>] = [:]
    while !layer.isEmpty, !Task.isCancelled {
      var next: [(key: UInt128, state: ModelState)] = []
      for (here, state) in layer {
        for (index, action) in state.actions(bank).enumerated() {
          var after = state
          var broken = after.take(action, bank, rules)
          report.steps += 1
          let there = after.key(bank, rules)
          let isNew = parents[there] == nil
          if isNew {
            parents[there] = Parent(state: here, action: UInt8(index))
            broken = broken ?? after.broken(bank) ?? after.brokenInTheCalm(bank, rules, &calm)
            if parents.count > Self.mostStates { broken = "more than \(Self.mostStates) states" }
            next.append((there, after))
          }
          if isCompared(there) {
            let ways = Set(
              after.actions(bank).map { action in
                var onwards = after
                let broken = onwards.take(action, bank, rules)
                return Way(key: onwards.key(bank, rules), broken: broken)
              })
            if waysOn[there, default: ways] != ways { broken = broken ?? "two states are taken for one" }
            waysOn[there] = ways
          }
          if let broken {
            report.states = parents.count
            report.violation = broken
            report.story = story(to: here, then: action, parents)
            return report
          }
        }
      }
      layer = next
    }
    report.states = parents.count
    return report
  }

  /// Whether everything that is held for this state is looked at: does it lead to the same states? If each step does,
  /// every way does. One state in 64 is enough to notice what is missing in `ModelState.key`.
  private func isCompared(_ key: UInt128) -> Bool { key % 64 == 0 }

  /// Checks every kind of provider, `width` at the same time, until one breaks a rule.
  /// - Parameter finished: hears of each when it is done.
  /// - Returns: whether every rule held.
  package static func checkAll(faults: Int, width: Int, finished: (Report) -> Void) async -> Bool {
    await withTaskGroup(of: Report.self) { group in
      var rest = ModelBank.all[...]
      func start() {
        guard let bank = rest.popFirst() else { return }
        group.addTask { SmallModel(bank, faults: faults).check() }
      }
      for _ in 0..<width { start() }
      while let report = await group.next() {
        finished(report)
        guard report.violation == nil else {
          group.cancelAll()
          return false
        }
        start()
      }
      return true
    }
  }

  /// The way to a state, told by walking it again.
  private func story(to end: UInt128, then last: ModelState.Action, _ parents: [UInt128: Parent]) -> [String] {
    var way: [Int] = []
    var here = end
    while let parent = parents[here], let before = parent.state {
      way.append(Int(parent.action))
      here = before
    }
    var state = ModelState(bank, rules, faults)
    var story: [String] = []
    for index in way.reversed() {
      let action = state.actions(bank)[index]
      story.append(state.told(action))
      _ = state.take(action, bank, rules)
    }
    return story + [state.told(last)]
  }
}
