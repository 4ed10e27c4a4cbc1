import PaymentCore
import PaymentEngine

/// A shop with one order, and the people who want to pay it.
final class Shop: @unchecked Sendable {
  // A world runs on one thread; see `SeededExecutor`.
  private let world: World
  private let number: Int
  private let registration: Order.Registration
  private var order: OrderID?
  /// Seconds to the deadline.
  private let life: Int64
  private var secret: UInt128 = 0
  /// The charges at banks that somebody could see a page, code or secret of.
  private var seen: [(kind: BankKind, charge: Int)] = []
  private var payments: [PaymentID] = []
  /// What it has asked to be refunded, answered or not.
  private var refunds: [(key: IdempotencyKey, amount: Int64?)] = []
  private var isOver = false

  private var dice: Dice { world.dice }

  init(_ number: Int, in world: World) {
    self.number = number
    self.world = world
    let dice = world.dice
    life = Int64(dice.within(60...world.plan.longestLife))
    registration = Order.Registration(
      merchant: World.merchant, reference: "r-\(number)",
      amount: Money(Int64(dice.within(1...100_000)), Currency(code: "CNY")!),
      expiresIn: life,
      latePayment: dice.happens(200) ? .accept : .refund)
  }

  func live() async {
    world.tally.orders += 1
    guard await register() else { return }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<dice.within(1...3) {
        let patience = Patience.allCases[dice.below(Patience.allCases.count)]
        group.addTask { await self.buy(patience) }
      }
      if dice.happens(150) {
        group.addTask {
          try? await self.world.clock.sleep(self.dice.within(0...Int(self.life) * 1100))
          await self.close()
        }
      }
    }
    if dice.happens(100) {
      // Somebody who comes late, and a shop that changes its mind once more.
      try? await world.clock.sleep(dice.within(0...Int(life) * 300))
      let expiresIn = dice.happens(500) ? nil : Int64(dice.within(60...900))
      if case .success(.success) = await ask(
        .reopenOrder(order!, expiresIn: expiresIn), by: .merchant(World.merchant))
      {
        await buy(.page)
        if dice.happens(300) { await close() }
      }
    } else if dice.happens(100) {
      // The goods are wanted elsewhere, whether or not its time is over.
      try? await world.clock.sleep(dice.within(0...Int(life) * 1100))
      await close()
    }
    if dice.happens(300) { await refund() }
  }

  // MARK: The shop's server

  private func close() async {
    if case .success(.success(.order(let order, _))) = await ask(.closeOrder(order!), by: .merchant(World.merchant)) {
      world.auditor.closed(order)
    }
  }

  /// Asks until it is answered, as shops are told to.
  func register() async -> Bool {
    for _ in 0..<100 {
      let number = Numbering.simulated.order(registration)
      let id = OrderID(at: world.clock.instant, number: number, random: dice.next())
      let command = Command.register(registration, number: number, id: id, checkoutSecret: UInt128(dice.next()))
      if case .success(.success(.order(let registered, _))) = await ask(command, by: .payOnce) {
        order = registered.id
        secret = registered.checkoutSecret
        world.auditor.registered(registered)
        return true
      }
      try? await world.clock.sleep(dice.within(100...10_000))
    }
    return false
  }

  /// The store came back as an older copy of itself: the shop asks again for what may have been forgotten, in any order.
  func askForRefundsAgain() async {
    for _ in 0..<20 where !refunds.isEmpty {
      guard let order, let kept = world.store[order]?.keptPayment else { return }
      for index in refunds.indices.reversed() {
        let (key, amount) = refunds.remove(at: dice.below(index + 1))
        switch await ask(.refund(kept.id, key: key, .init(amount: amount)), by: .merchant(World.merchant)) {
        case .success(.failure(let refusal)) where refusal.code != .refundExceedsPayment: break
        case .success(.success): break
        // Another one is on its way, or the answer was lost.
        case .success, .failure: refunds.append((key, amount))
        }
      }
      try? await world.clock.sleep(dice.within(1000...60_000))
    }
  }

  private func refund() async {
    guard let kept = world.store[order!]?.keptPayment else { return }
    for _ in 0..<dice.within(1...4) {
      let key = IdempotencyKey("refund-\(dice.below(3))")!
      let amount = dice.happens(400) ? nil : Int64(dice.within(1...Int(registration.amount.amount) * 12 / 10 + 1))
      let left = world.store[order!]?.refundable(kept) ?? kept.received!.amount
      let refunded = kept.received!.amount - left
      let expected = dice.happens(500) ? nil : dice.pick([refunded, refunded, 0])
      let command = Command.refund(kept.id, key: key, .init(amount: amount, expectedRefunded: expected))
      refunds.append((key, amount))
      for _ in 0..<dice.within(1...2) {
        if case .success(.success(.refund(let id, let order, _))) = await ask(command, by: .merchant(World.merchant)) {
          world.auditor.toldRefund(id, of: kept.id, in: order, under: key)
        }
      }
      try? await world.clock.sleep(dice.within(0...20_000))
    }
  }

  // MARK: Buyers

  /// How somebody behaves who was not answered.
  private enum Patience: CaseIterable {
    /// Repeats the same request, as the checkout page does.
    case page
    /// Reloads, and has a new key for each click.
    case impatient
    /// Makes a key up for each call, and never waits.
    case agent
  }

  private func buy(_ patience: Patience) async {
    var key = newKey()
    let end = world.clock.now + life * 1200
    for _ in 0..<dice.within(2...8) {
      guard !isOver, world.clock.now < end else { return }
      switch dice.below(10) {
      case 0...5:
        if patience != .page { key = newKey() }
        let (provider, method) = choice()
        let clicks = patience == .page ? 1 : dice.within(1...3)
        await withTaskGroup(of: Void.self) { group in
          for click in 0..<clicks {
            let key = click == 0 || patience == .page ? key : newKey()
            group.addTask { await self.pay(key, provider, method) }
          }
        }
      case 6 where !payments.isEmpty:
        // Another method, please: at the worst moment.
        _ = await ask(.closePayment(dice.pick(payments)), by: .buyer(secret: secret))
        key = newKey()
        // And then the old code after all, before the new one is paid.
        if dice.happens(600), let page = seen.last {
          try? await world.clock.sleep(dice.within(0...20_000))
          world.banks.first { $0.kind == page.kind }?.act(page.charge, .begin)
          try? await world.clock.sleep(dice.within(0...20_000))
        }
      case 7 where !payments.isEmpty: _ = await ask(.check(dice.pick(payments)), by: .buyer(secret: secret))
      case 8 where !seen.isEmpty: act(dice.pick(seen))
      default: break
      }
      let pause = patience == .agent ? dice.within(0...300) : dice.within(100...world.plan.rush / 20)
      try? await world.clock.sleep(pause)
    }
  }

  /// The same key stands on other orders, too.
  private func newKey() -> IdempotencyKey {
    IdempotencyKey(dice.happens(200) ? "key-\(dice.below(4))" : "key-\(dice.next())")!
  }

  private func choice() -> (ProviderName, String) {
    let kind = dice.pick(world.plan.kinds)
    return (kind.name, dice.pick(kind.sheet.methods))
  }

  private func pay(_ key: IdempotencyKey, _ provider: ProviderName, _ method: String) async {
    let command = Command.pay(order!, key: key, provider: provider, method: method)
    world.auditor.asks(order!)
    guard case .success(let outcome) = await ask(command, by: .buyer(secret: secret)) else { return }
    switch outcome {
    case .success(.payment(let id, let order, let isRepeat)):
      if !isRepeat { world.tally.payments += 1 }
      world.auditor.told(id, of: order, under: key)
      if !payments.contains(id) { payments.append(id) }
      await follow(id)
    case .success: break
    case .failure(let refusal) where refusal.code == .notFound:
      // The store has forgotten it. Another buyer of it may have noticed before.
      if await register() { payments.removeAll { $0.order != self.order } }
    case .failure(let refusal):
      if refusal.code == .orderPaid || refusal.code == .paymentInProgress { world.tally.duplicatesPrevented += 1 }
      if refusal.code == .orderPaid || refusal.code == .orderClosed { isOver = true }
      // Joined: another tab, another phone, somebody else with the same code.
      if let payment = refusal.payment { await follow(payment.id) }
    }
  }

  /// Waits for what the buyer has to do, and does it, or not.
  private func follow(_ id: PaymentID) async {
    for _ in 0..<dice.within(1...6) {
      guard let node = world.anyNode else { return }
      guard
        case .success(.success(.payment(_, let order, _))) = await world.ask(
          node, .check(id), by: .buyer(secret: secret)), let payment = order.payment(id)
      else { return }
      world.auditor.told(id, of: order, under: nil)
      guard payment.isLive else { return }
      if let charge = payment.nextAction?.charge, let kind = BankKind(rawValue: payment.provider.text) {
        world.banks.first { $0.kind == kind }?.charges[charge].isShown = true
        seen.append((kind, charge))
        try? await world.clock.sleep(dice.within(0...30_000))
        act((kind, charge))
        return
      }
      if dice.happens(150) {
        await listen(to: id, on: node)
      } else {
        try? await world.clock.sleep(dice.within(200...5000))
      }
    }
  }

  /// Waits as a long poll or an open page does, on the node that it came to.
  private func listen(to id: PaymentID, on node: Node) async {
    try? await node.engine.listeners.withSubscription(to: id.order) { subscription in
      let (limit, began, freezes) = (dice.within(0...8000), world.clock.now, node.executor.freezes)
      let isMet = { @Sendable (order: Order) in order.payment(id).map { !$0.isLive || $0.nextAction != nil } ?? true }
      let heard = await subscription.first(within: .milliseconds(limit), where: isMet)
      if node.isAlive, node.executor.freezes == freezes, !node.executor.isFrozen {
        world.auditor.waited(world.clock.now - began, limit: limit, isMet: heard.map(isMet) ?? false, id.order)
      }
      if let heard, heard.payment(id) != nil { world.auditor.told(id, of: heard, under: nil) }
    }
  }

  private func act(_ page: (kind: BankKind, charge: Int)) {
    guard let bank = world.banks.first(where: { $0.kind == page.kind }) else { return }
    switch dice.below(10) {
    case 0...5: bank.act(page.charge, .pay)
    case 6: bank.act(page.charge, .decline)
    case 7, 8: bank.act(page.charge, .begin)
    default: break
    }
  }

  private func ask(_ command: Command, by caller: Caller) async -> Result<Outcome, World.Lost> {
    guard let node = world.anyNode else {
      try? await world.clock.sleep(1000)
      return .failure(World.Lost())
    }
    return await world.ask(node, command, by: caller)
  }
}
