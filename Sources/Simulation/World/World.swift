import PaymentCore
import PaymentEngine

/// One seeded world: time, weather, a store, banks, nodes, buyers, and an auditor who watches them.
final class World: @unchecked Sendable {
  // A world runs on the one thread that calls `run`; see `SeededExecutor`.
  let seed: UInt64
  let dice: Dice
  let executor = SeededExecutor()
  let clock = VirtualClock()
  let store = SimulatedStore()
  var weather = Weather.calm
  var tally = Tally()
  private(set) var banks: [SimulatedBank] = []
  private var shops: [Shop] = []
  private(set) var nodes: [Node] = []
  /// Every node that ever was: their tasks are unowned jobs, and end later than they do.
  private var remembered: [Node] = []
  private(set) var auditor: Auditor!
  let limits: Limits
  let plan: Plan

  static let merchant = MerchantID("mer_shop")

  /// What a seed makes of a world, before anything happens in it.
  struct Plan {
    let orders: Int
    let nodes: Int
    let lanes: Int
    /// For how long orders come in, and for how long the weather is bad, in milliseconds.
    let rush: Int
    let storm: Int
    let sweep: Duration
    let kinds: [BankKind]
    /// Whether the store forgets acknowledged commits once.
    let forgets: Bool
    /// How many seconds an order lives at most.
    let longestLife: Int

    init(_ dice: Dice) {
      let isLong = dice.happens(200)
      orders = dice.within(5...160)
      nodes = dice.within(1...3)
      lanes = dice.within(1...2)
      rush = isLong ? 4 * 3_600_000 : dice.within(30...600) * 1000
      storm = isLong ? 26 * 3_600_000 : rush + dice.within(60...900) * 1000
      sweep = isLong ? .seconds(60) : .milliseconds(dice.pick([500, 1000, 3000]))
      var kinds = BankKind.allCases
      while kinds.count > 1, dice.happens(400) { kinds.remove(at: dice.below(kinds.count)) }
      self.kinds = kinds
      forgets = dice.happens(150)
      longestLife = isLong ? 30 * 3600 : 900
    }
  }

  init(seed: UInt64, isTold: Bool) {
    self.seed = seed
    dice = Dice(seed: seed)
    plan = Plan(dice)
    var limits = Limits()
    limits.calls = dice.pick([3, 16, 64])
    self.limits = limits
    banks = BankKind.allCases.map { SimulatedBank($0, in: self) }
    auditor = Auditor(self, isTold: isTold)
  }

  // MARK: Running

  /// The most jobs of one world: a loop without a wait would never end.
  private static let mostSteps = 20_000_000

  /// Lets the world live, from its first order to its rest.
  func run() {
    let finished = Finished()
    Task(executorPreference: executor) { [self] in
      await live()
      finished.isTrue = true
    }
    while !finished.isTrue {
      guard auditor.violation == nil else { break }
      if executor.step(dice) { continue }
      guard clock.advance() else {
        auditor.fail("10: it ends", "nobody has anything to do, and it is not over")
        break
      }
      if executor.steps > Self.mostSteps {
        auditor.fail("10: it ends", "more than \(Self.mostSteps) steps")
        break
      }
    }
    if finished.isTrue {
      // What dead nodes still have to do is done unseen.
      for node in remembered { node.kill() }
      while executor.step(dice) {}
      // Nodes and what the clock still has to do know their world, and would keep it for ever.
      clock.forget()
      shops = []
      nodes = []
      remembered = []
    } else {
      // Its tasks stay where they are; to end them would be to go on.
      _ = Unmanaged.passRetained(self)
    }
    tally.virtualMilliseconds = clock.now - 1_795_000_000_000
    tally.steps = executor.steps
  }

  private final class Finished: @unchecked Sendable { var isTrue = false }

  private func live() async {
    weather = .storm(dice)
    planOutages()
    nodes = (0..<plan.nodes).map { startNode($0, sweep: plan.sweep) }
    await withTaskGroup(of: Void.self) { group in
      for number in 0..<plan.orders {
        let shop = Shop(number, in: self)
        shops.append(shop)
        group.addTask {
          try? await self.clock.sleep(self.dice.within(0...self.plan.rush))
          await shop.live()
        }
      }
      group.addTask { await self.disturb() }
    }
    await settle()
  }

  private func startNode(_ number: Int, sweep: Duration) -> Node {
    // Clocks of nodes differ by seconds.
    let date = NodeDate(skew: Int64(dice.within(-3000...3000)))
    let node = Node(number, in: self, date: date, lanes: plan.lanes, sweep: sweep)
    // One that starts with a wrong date cannot know it by itself, and has others to ask.
    if plan.nodes > 1, weather.setsClocks > 0, dice.happens(weather.setsClocks) { spoilDate(of: node) }
    remembered.append(node)
    node.start()
    return node
  }

  /// Somebody sets a node's date wrong, by minutes to days, and mends it after a while.
  private func spoilDate(of node: Node) {
    let size = dice.pick([60_000, 3_600_000, 5 * 3_600_000, 30 * 86_400_000])
    node.date.jump = Int64(dice.within(size / 2...size)) * (dice.happens(500) ? 1 : -1)
    tally.wrongClocks += 1
    clock.after(dice.within(1000...600_000)) { node.date.jump = 0 }
  }

  // MARK: What goes wrong by itself

  private var providerOutages: [(kind: BankKind, from: Int64, to: Int64)] = []
  private var storeOutages: [(from: Int64, to: Int64)] = []

  func isDown(_ kind: BankKind) -> Bool {
    providerOutages.contains { $0.kind == kind && $0.from <= clock.now && clock.now < $0.to }
  }

  var isStoreDown: Bool { storeOutages.contains { $0.from <= clock.now && clock.now < $0.to } }

  private func planOutages() {
    func outage(longest: Int) -> (from: Int64, to: Int64) {
      let start = clock.now + Int64(dice.below(plan.storm))
      return (start, start + Int64(dice.within(1000...longest)))
    }
    for kind in plan.kinds where dice.happens(300) {
      // Long enough that keys are forgotten meanwhile, in a world that lasts.
      let span = outage(longest: plan.storm)
      providerOutages.append((kind, span.from, span.to))
    }
    for _ in 0..<dice.below(3) { storeOutages.append(outage(longest: 60_000)) }
  }

  /// Nodes die, freeze and come back; the store forgets; operators decide; until the storm is over.
  private func disturb() async {
    let end = clock.now + Int64(plan.storm)
    var snapshot = store.snapshot
    var forgetsAt = plan.forgets ? clock.now + Int64(dice.within(plan.storm / 4...plan.storm)) : .max
    while clock.now < end {
      try? await clock.sleep(dice.within(1000...max(2000, plan.storm / 12)))
      let index = dice.below(nodes.count)
      switch dice.below(10) {
      case 0...2 where dice.happens(500): nodes[index].kill()
      case 3:
        let node = nodes[index]
        node.executor.freeze()
        tally.freezes += 1
        clock.after(dice.within(1000...180_000)) { node.executor.thaw() }
      case 4: await operate()
      case 5: if clock.now < forgetsAt { snapshot = store.snapshot }
      case 6 where dice.happens(weather.setsClocks): spoilDate(of: nodes[index])
      default: break
      }
      if clock.now >= forgetsAt {
        // A fail-over to a standby that lagged: what was acknowledged meanwhile is gone, and every connection with it.
        for node in nodes { node.kill() }
        auditor.forgets(store.snapshot, comesBackAs: snapshot)
        store.restore(snapshot)
        forgetsAt = .max
        tally.forgottenStores += 1
      }
      for index in nodes.indices where !nodes[index].isAlive && dice.happens(700) {
        nodes[index] = startNode(index, sweep: plan.sweep)
      }
    }
  }

  /// The calm: everything works again, and everything must come to its end.
  private func settle() async {
    weather = .calm
    providerOutages = []
    storeOutages = []
    for index in nodes.indices {
      nodes[index].executor.thaw()
      nodes[index].kill()
      nodes[index].date.jump = 0
    }
    nodes = [startNode(0, sweep: .seconds(30))]
    auditor.calmBegins()
    if tally.forgottenStores > 0 {
      for shop in shops { _ = await shop.register() }
      // Twice, since what was under way the first time is asked about by itself, and may have had a longer story.
      for _ in 1...2 {
        await findForgotten()
        for shop in shops { await shop.askForRefundsAgain() }
        await rest()
      }
    } else {
      await rest()
    }
    auditor.finish(store.snapshot)
    await nodes[0].stop()
  }

  /// Until nothing is under way.
  private func rest() async {
    // A day beyond the last deadline: by then the schedule has asked everybody.
    let end = clock.now + Int64(plan.longestLife) * 1000 + 36 * 3_600_000
    repeat {
      try? await clock.sleep(600_000)
      await operate()
    } while clock.now < end && (noticesUnderWay > 0 || !auditor.isAtRest(store.snapshot))
  }

  /// What operators do after a restore, once the shops have registered again what was forgotten.
  private func findForgotten() async {
    let node = nodes[0]
    let providers = banks.map { SimulatedProvider(bank: $0, life: node.life, world: self, isInquiry: true) }
    let forgotten = ForgottenPayments(
      reading: store, journal: node.engine.journal, providers: providers, numbering: .simulated,
      clock: node.engine.clock)
    let start = Instant(milliseconds: 0)
    // Clocks differ.
    let end = clock.instant.advanced(by: limits.schedule.leaseMargin)
    let report = try? await forgotten.find(from: start, to: end, paidSince: start) { _ in }
    if report?.isComplete != true || report?.unanswered != 0 {
      auditor.fail("6: money is never lost from sight", "in the calm not everybody answers")
    }
    tally.found += report?.found ?? 0
  }

  /// Operators look at what waits for a person.
  private func operate() async {
    let stored = store.snapshot
    let strays = stored.strays.values.sorted { $0.id.text < $1.id.text }
    let open = (stored.orders.values.sorted { $0.id < $1.id }.flatMap(\.cases) + strays).filter { $0.resolvedAt == nil }
    for item in open {
      guard let node = nodes.first(where: \.isAlive) else { return }
      let choices = item.choices
      // A new refund first where there is one; else whatever comes to mind.
      let choice = choices.contains(.newRefund) && dice.happens(800) ? .newRefund : dice.pick(choices)
      _ = await ask(node, .resolve(item.id, choice), by: .operator("ann"))
    }
  }

  /// Whether so many numbers before this one were never sent that operators do not come upon it.
  func isBehindGap(_ trade: PaymentNumber) -> Bool {
    trade.ordinal > ForgottenPayments.gap
      && (1...ForgottenPayments.gap).allSatisfy { before in
        let number = PaymentNumber(order: trade.order, ordinal: trade.ordinal - before)
        return banks.allSatisfy { $0.charges(of: number).isEmpty }
      }
  }

  // MARK: Asking nodes

  struct Lost: Error {}

  /// A command through one node, as a request would bring it.
  /// - Returns: what was answered; `Lost` where no answer came within half a minute, or the answer was a fault.
  func ask(_ node: Node, _ command: Command, by caller: Caller) async -> Result<Outcome, Lost> {
    let slot = Slot<Result<Outcome, Lost>>()
    // The request is the node's, and goes on when its caller hangs up.
    Task(executorPreference: node.executor) {
      do throws(Fault) {
        let outcome = try await node.engine.journal.submit(command, by: caller)
        slot.fill(node.isAlive ? .success(outcome) : .failure(Lost()))
      } catch {
        slot.fill(.failure(Lost()))
      }
    }
    clock.after(30_000) { slot.fill(.failure(Lost())) }
    return await slot.value()
  }

  var anyNode: Node? {
    let alive = nodes.filter(\.isAlive)
    return alive.isEmpty ? nil : dice.pick(alive)
  }

  // MARK: Notices

  /// A provider tells of a charge's new state, as well as its notices get through.
  /// - Parameter isCertain: whether the provider tells until it is acknowledged, since nobody would think of asking.
  func notify(_ charge: Charge, from bank: SimulatedBank, isCertain: Bool = false) {
    let state = charge.state
    guard state.status != .closed || dice.happens(300), charge.method != Charge.unknownMethod else { return }
    notify(
      .payment(
        .init(
          number: charge.trade, provider: bank.kind.name, verdict: bank.kind.verdict(state),
          capturedAt: state.capturedAt, returns: state.listed(by: bank.kind))), isCertain: isCertain)
  }

  func notifyFailedRefund(_ number: RefundNumber, of trade: PaymentNumber, from bank: SimulatedBank) {
    notify(
      .refund(
        .init(
          number: number, of: trade, provider: bank.kind.name,
          verdict: .failed(Failure(code: "taken_back", message: "")))),
      isCertain: true)
  }

  private func notify(_ evidence: Evidence, isCertain: Bool = false) {
    if !isCertain, dice.happens(weather.losesNotice) {
      tally.lostNotices += 1
      return
    }
    for _ in 0..<(dice.happens(weather.doublesNotice) ? 2 : 1) { deliver(evidence, attempts: isCertain ? 40 : 8) }
  }

  /// Delivered until it is acknowledged or given up; later ones may overtake it.
  private func deliver(_ evidence: Evidence, attempts: Int, after pause: Int = 0) {
    noticesUnderWay += 1
    clock.after(pause + dice.within(1...weather.longestNoticeDelay)) { [self] in
      Task(executorPreference: executor) { [self] in
        var isTaken = false
        if let node = anyNode, case .success = await ask(node, .evidence(evidence), by: .payOnce) { isTaken = true }
        noticesUnderWay -= 1
        if !isTaken, attempts > 1 {
          deliver(evidence, attempts: attempts - 1, after: min(2 * pause + 15_000, 3_600_000))
        }
      }
    }
  }

  /// Those that somebody still tries to deliver.
  private var noticesUnderWay = 0
}
