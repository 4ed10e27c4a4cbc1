import PaymentCore
import Synchronization
import Testing

@testable import PaymentEngine

/// Orders that another node holds, or has just changed: they are the trouble of those who ask about them, and of nobody else.
@Suite(.serialized) struct ContestedOrdersTests {
  private static func id(_ number: Int) -> OrderID { EngineHarness.id("r-\(number)") }

  private static func close(_ number: Int) -> Lane.Work { .command(.closeOrder(id(number)), by: .payOnce) }

  /// A store with so many orders.
  private static func store(
    _ count: Int, beforeSave: @escaping @Sendable (Int, Changeset) throws(Fault) -> Void = { _, _ throws(Fault) in }
  ) -> FakeStore {
    let store = FakeStore(beforeSave: beforeSave)
    for number in 0..<count {
      let command = EngineHarness.register("r-\(number)")
      let rules = EngineHarness.rules(FakeProvider())
      store.put(decide(nil, command, by: .payOnce, now: FakeClock.start, rules: rules).order!)
    }
    return store
  }

  /// Hands all of this to one lane at once.
  /// - Returns: what was answered.
  private static func answers(_ work: [Lane.Work], _ store: FakeStore) async -> [Result<Lane.Answer, Fault>] {
    let lane = EngineHarness(store: store).engine.journal.lanes[0]
    return await withTaskGroup(of: (Int, Result<Lane.Answer, Fault>).self) { group in
      for (index, some) in work.enumerated() { group.addTask { (index, await lane.submit(some)) } }
      while lane.waiting < work.count { await Task.yield() }
      lane.close()
      await lane.run()
      return await group.reduce(into: [Int: Result<Lane.Answer, Fault>]()) { $0[$1.0] = $1.1 }
        .sorted { $0.key < $1.key }.map(\.value)
    }
  }

  private static func failures(_ answers: [Result<Lane.Answer, Fault>]) -> [Int: Fault] {
    answers.enumerated().reduce(into: [:]) { failures, answer in
      if case .failure(let fault) = answer.element { failures[answer.offset] = fault }
    }
  }

  @Test func aBatchGoesOnWithoutAnOrderThatOthersHold() async {
    let store = Self.store(64)
    store.hold([Self.id(37)])
    let answers = await Self.answers((0..<64).map(Self.close), store)
    #expect(Self.failures(answers) == [37: .conflict])
    #expect(store.loads == [64], "one transaction")
    #expect((0..<64).allSatisfy { (store[Self.id($0)]!.status == .closed) == ($0 != 37) })
  }

  @Test func aReferenceThatOthersHoldIsNoNewOrder() async {
    let store = Self.store(2)
    let known = store[Self.id(0)]
    store.hold([Self.id(0)])
    let work = [EngineHarness.register("r-0"), EngineHarness.register("r-1")].map {
      Lane.Work.command($0, by: .payOnce)
    }
    #expect(Self.failures(await Self.answers(work, store)) == [0: .conflict])
    #expect(store[Self.id(0)] == known)
  }

  @Test func aBatchGoesOnWithoutOrdersThatOthersHaveChanged() async {
    let contested = Set([Self.id(37), Self.id(5)])
    let store = Self.store(64) { _, changes throws(Fault) in
      // A store that notices one after the other.
      if let change = changes.orders.first(where: { contested.contains($0.after.id) }) {
        throw .contested([change.after.id])
      }
    }
    let answers = await Self.answers((0..<64).map(Self.close), store)
    #expect(Self.failures(answers) == [5: .conflict, 37: .conflict])
    #expect(store.loads == [64, 63, 62], "as many transactions as are contested, and one")
    #expect((0..<64).allSatisfy { (store[Self.id($0)]!.status == .closed) == ($0 != 37 && $0 != 5) })
  }

  @Test func aNewOrderIsContestedByItsOwnNumber() async {
    let store = Self.store(0) { _, changes throws(Fault) in
      if changes.orders.contains(where: { $0.after.id == Self.id(1) }) { throw .contested([Self.id(1)]) }
    }
    let work = (0..<3).map { Lane.Work.command(EngineHarness.register("r-\($0)"), by: .payOnce) }
    #expect(Self.failures(await Self.answers(work, store)) == [1: .conflict])
    #expect(store.loads == [3, 2])
  }

  @Test func whatWasSweptAndHasChangedIsLookedAtAgain() async {
    let store = Self.store(3) { number, _ throws(Fault) in if number == 1 { throw .contested([Self.id(1)]) } }
    for number in 0..<3 { store.put(try! #require(store[Self.id(number)])) }
    let answers = await Self.answers([.sweep(after: nil, limit: 10), Self.close(0), Self.close(1)], store)
    #expect(Self.failures(answers) == [2: .conflict])
    #expect(store.loads == [3, 2])
  }

  @Test func aStoreThatContestsForEverIsGivenUp() async {
    let store = Self.store(3) { _, _ throws(Fault) in throw .contested([Self.id(99)]) }
    let answers = await Self.answers((0..<3).map(Self.close), store)
    #expect(Self.failures(answers) == [0: .conflict, 1: .conflict, 2: .conflict])
    #expect(store.loads.count == 9)
  }

  @Test func whoAsksForAHeldOrderWaitsAndNobodyElse() async throws {
    let bench = EngineHarness()
    try await bench.running {
      let (held, other) = (try await bench.order("held"), try await bench.order("other"))
      bench.store.hold([held])
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await bench.pay(held, "k") }
        try await bench.pay(other, "k")
        try await until("the other one, without a wait") { bench.store[other]?.status == .paid }
        #expect(bench.clock.uptime() == .zero)
        try await bench.untilLater("a few tries", within: .seconds(2)) { bench.store.loads.count > 8 }
        #expect(bench.store[held]!.payments.isEmpty)
        bench.store.hold([])
        try await bench.untilLater("the payment", within: .seconds(2)) { bench.store[held]?.status == .paid }
        try await group.waitForAll()
      }
    }
    #expect(bench.provider.made.count == 2)
  }

  @Test func whoAsksForAnOrderThatIsHeldForEverIsToldSo() async throws {
    let bench = EngineHarness()
    try await bench.running {
      let held = try await bench.order("held")
      bench.store.hold([held])
      // Nothing waits for a wake: whoever holds it has woken it.
      let (isToldAtOnce, isOver) = (Gate(), Gate())
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          await #expect(throws: Fault.conflict) { try await bench.engine.journal.submit(.wake(held), by: .payOnce) }
          isToldAtOnce.open()
        }
        try await until("an answer, without a wait") { isToldAtOnce.isOpen }
        group.addTask {
          await #expect(throws: Fault.conflict) { try await bench.pay(held, "k") }
          isOver.open()
        }
        try await bench.untilLater("the end", within: .seconds(60)) { isOver.isOpen }
        try await group.waitForAll()
      }
      #expect(bench.clock.uptime() >= .seconds(3))
    }
  }
}
