package import Logging
package import PaymentCore

/// The rooms of the engine wired together: one journal, one dispatcher, one sweeper, one place where changes are heard.
package struct Engine: Sendable {
  package let journal: Journal
  package let listeners: Listeners
  package let rules: Rules
  package let clock: any Clock
  private let accounts: [ProviderAccount]
  private let limits: Limits
  private let dispatcher: Dispatcher
  private let sweeper: Sweeper
  private let poll: StorePoll?

  /// - Parameters:
  ///   - stores: one per lane.
  ///   - shared: where to hear of what other nodes do; `nil` when no other node writes to this store.
  ///   - accounts: each at another provider, in the order in which a buyer is offered them.
  ///   - numbering: the same for ever, since numbers that were made otherwise are others'.
  package init(
    stores: [any Store], shared: (any Reading)? = nil, accounts: [ProviderAccount], numbering: Numbering,
    limits: Limits = Limits(), clock: any Clock, logger: Logger
  ) {
    let rules = Rules(schedule: limits.schedule, accounts: accounts.map(\.account), numbering: numbering)
    let listeners = Listeners(clock: clock, places: limits.places)
    let dispatcher = Dispatcher(accounts: accounts, limits: limits, clock: clock, logger: logger)
    let unreadable = UnreadableOrders(logger: logger)
    let timekeeper = Timekeeper(clock: clock, tolerance: rules.schedule.clockTolerance, logger: logger)
    journal = Journal(
      lanes: stores.enumerated().map {
        Lane(
          LaneShare(index: $0, count: stores.count), store: $1, rules: rules, clock: clock, timekeeper: timekeeper,
          dispatcher: dispatcher, listeners: listeners,
          unreadable: unreadable, limits: limits, logger: logger)
      }, listeners: listeners, numbering: numbering, clock: clock)
    sweeper = Sweeper(journal: journal, dispatcher: dispatcher, limits: limits, clock: clock, logger: logger)
    poll = shared.map {
      StorePoll(reading: $0, listeners: listeners, interval: limits.pollInterval, clock: clock, logger: logger)
    }
    self.accounts = accounts
    self.limits = limits
    self.listeners = listeners
    self.dispatcher = dispatcher
    self.rules = rules
    self.clock = clock
  }

  /// Who talks to a provider; `nil` when it is turned off here.
  package func adapter(_ provider: ProviderName) -> (any Provider)? {
    accounts.first { $0.account.provider == provider }?.adapter
  }

  /// Works until `stop`. Then it ends so that nothing is lost: no new call leaves, the calls under way end, their
  /// evidence is stored, and the lanes end last.
  /// - Parameter executors: the threads on which the lanes run; `nil` for those of the surrounding task.
  package func run(on executors: [any TaskExecutor]? = nil) async {
    await withTaskGroup(of: Void.self) { all in
      // A lane that shares its thread with others cannot be watched from there.
      if executors != nil { all.addTask { await watch() } }
      if let poll { all.addTask { await poll.run() } }
      await work(on: executors)
      all.cancelAll()
    }
  }

  private func work(on executors: [any TaskExecutor]?) async {
    await withTaskGroup(of: Void.self) { lanes in
      for (index, lane) in journal.lanes.enumerated() {
        // A lane without a thread of its own stays where the engine is; an explicit `nil` would send it elsewhere.
        if let executors {
          lanes.addTask(executorPreference: executors[index]) { await lane.run() }
        } else {
          lanes.addTask { await lane.run() }
        }
      }
      await withTaskGroup(of: Void.self) { rest in
        rest.addTask { await sweeper.run() }
        rest.addTask { await listeners.run() }
        rest.addTask { await dispatcher.run(reportingTo: journal) }
      }
      journal.close()
    }
  }

  /// Decides and stores commands until it is cancelled. No call leaves, and nothing is swept: what is due waits for an
  /// engine that makes calls.
  package func runWithoutCalls(on executors: [any TaskExecutor]) async {
    dispatcher.stop()
    await withTaskGroup(of: Void.self) { all in
      for (lane, executor) in zip(journal.lanes, executors) {
        all.addTask(executorPreference: executor) { await lane.run() }
      }
      // Ends when it is cancelled.
      await watch()
      journal.close()
    }
  }

  /// Voids the leases of the process that had this store before, and does nothing else. Only for a store that a lock holds
  /// for one process alone, and before anything is called: this engine is of no use afterwards.
  /// - Returns: how many orders had a lease, or a call that might still be leaving.
  package func recover(on executors: [any TaskExecutor]) async throws(Fault) -> Int {
    let result = await withTaskGroup(of: Void.self) { group -> Result<Int, Fault> in
      group.addTask { await runWithoutCalls(on: executors) }
      defer { group.cancelAll() }
      do throws(Fault) {
        return .success(try await journal.recover(within: rules.schedule.moving, now: clock.now()))
      } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// Answers those who wait for a store that hangs, until it is cancelled.
  private func watch() async {
    while (try? await clock.sleep(for: .seconds(1))) != nil {
      for lane in journal.lanes { lane.answerOverdue(limits.storePatience) }
    }
  }

  /// Lets those go who wait for changes. The first step of an orderly end, so that open requests are answered.
  package func stopWaiting() { listeners.stop() }

  /// Ends `run` once the calls under way are done.
  package func stop() {
    listeners.stop()
    dispatcher.stop()
  }
}
