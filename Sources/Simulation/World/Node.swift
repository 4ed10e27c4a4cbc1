import Logging
import PaymentCore
import PaymentEngine

/// One PayOnce process of a world: the production engine, on a store that it shares with the others.
final class Node: @unchecked Sendable {
  // A world runs on one thread; see `SeededExecutor`.
  let number: Int
  let engine: Engine
  let life = NodeLife()
  let executor: NodeExecutor
  /// Its date, which somebody may set.
  let date: NodeDate
  private let world: World
  private var task: Task<Void, Never>?

  init(_ number: Int, in world: World, date: NodeDate, lanes: Int, sweep: Duration) {
    self.number = number
    self.world = world
    self.date = date
    let life = life
    executor = NodeExecutor(world.executor)
    let clock = NodeClock(world: world.clock, date: date, life: life)
    let links = (0..<lanes).map { _ in StoreLink(world: world, life: life) }
    var limits = world.limits
    limits.sweepInterval = sweep
    engine = Engine(
      stores: links,
      accounts: world.banks.map { bank in
        ProviderAccount(
          SimulatedProvider(bank: bank, life: life, world: world), isEnabled: world.plan.kinds.contains(bank.kind))
      }, numbering: .simulated, limits: limits, clock: clock,
      logger: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() })
    for link in links { link.node = self }
  }

  var isAlive: Bool { !life.isOver }

  func start() {
    let engine = engine
    task = Task(executorPreference: executor) { await engine.run() }
  }

  /// kill -9: from here on nothing that it does reaches anybody.
  func kill() {
    guard isAlive else { return }
    life.end()
    world.tally.crashes += 1
    engine.stop()
    task?.cancel()
    // What is left of it runs to its end unseen.
    executor.thaw()
  }

  /// SIGTERM, and the wait for the end.
  func stop() async {
    engine.stop()
    await task?.value
    life.end()
  }
}

/// The way from one lane to the store, and what happens on it.
final class StoreLink: Store, @unchecked Sendable {
  // A world runs on one thread; see `SeededExecutor`.
  private let world: World
  private let life: NodeLife
  weak var node: Node?

  init(world: World, life: NodeLife) {
    self.world = world
    self.life = life
  }

  private func fail(_ fault: Fault) throws(Fault) {
    world.tally.storeFaults += 1
    throw fault
  }

  func transact<Answer>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer {
    if life.isOver { throw .unavailable("dead") }
    if world.isStoreDown || world.dice.happens(world.weather.storeRefuses) { try fail(.unavailable("refused")) }
    return try world.store.alone { () throws(Fault) in
      var loaded = world.store.look(scopes)
      // What several nodes share has a clock of its own.
      if world.plan.nodes > 1 { loaded.clockLead = node.map { .milliseconds($0.date.lead) } }
      if world.dice.happens(world.weather.storeHolds) { hold(one: scopes, in: &loaded) }
      let decided = try decide(loaded)
      try commit(decided.changes)
      return decided.answer
    }
  }

  /// Another node holds one of the orders that were named.
  private func hold(one scopes: [Scope], in loaded: inout Loaded) {
    guard !loaded.orders.isEmpty else { return }
    let order = loaded.orders.remove(at: world.dice.below(loaded.orders.count))
    loaded.held = [
      .order(order.id), .number(order.number),
    ].filter { scopes.contains($0) }
    world.tally.storeFaults += 1
  }

  private func commit(_ changes: Changeset) throws(Fault) {
    if life.isOver { throw .unavailable("dead") }
    guard !changes.isEmpty else { return }
    let (dice, weather) = (world.dice, world.weather)
    if dice.happens(weather.storeConflicts) { try fail(.conflict) }
    if dice.happens(weather.storeHolds), !changes.orders.isEmpty {
      try fail(.contested([dice.pick(changes.orders).after.id]))
    }
    if dice.happens(weather.storeRefuses) { try fail(.unavailable("refused")) }
    let (isCrash, isDoubt) = (dice.happens(weather.crashesInCommit), dice.happens(weather.storeDoubts))
    if isCrash || isDoubt, dice.happens(500) {
      if isCrash { node?.kill() }
      try fail(isDoubt ? .unknownCommit : .unavailable("dead"))
    }
    do throws(Fault) { try world.store.apply(changes) } catch {
      // There is no other writer in this moment: a guard had to stop what `decide` should have.
      world.auditor.guarded(changes)
      throw error
    }
    world.auditor.committed(changes)
    if isCrash { node?.kill() }
    if isCrash || isDoubt { try fail(isDoubt ? .unknownCommit : .unavailable("dead")) }
  }
}
