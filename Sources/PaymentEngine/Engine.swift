package import Logging
package import PaymentCore

/// The rooms of the engine wired together: one journal, one dispatcher, one sweeper, one place where changes are heard.
package struct Engine: Sendable {
  package let journal: Journal
  package let changes: Changes
  package let rules: Rules
  package let clock: any Clock
  private let dispatcher: Dispatcher
  private let sweeper: Sweeper
  private let neighbours: Neighbours?

  /// - Parameters:
  ///   - stores: one per lane.
  ///   - shared: where to hear of what other nodes do; `nil` when no other node writes to this store.
  ///   - places: how many may wait for changes.
  ///   - callLimit: how many calls to one provider may be under way at once.
  ///   - sweepInterval: the pause between two looks for what is due.
  package init(
    stores: [any Store], shared: (any Reading)? = nil, providers: [any Provider], rules: Rules, clock: any Clock,
    places: Changes.Places = .init(), logger: Logger,
    callLimit: Int = 256, sweepInterval: Duration = .milliseconds(200)
  ) {
    let changes = Changes(clock: clock, places: places)
    let dispatcher = Dispatcher(
      providers: providers, schedule: rules.schedule, clock: clock, logger: logger, limit: callLimit)
    let unreadable = UnreadableOrders(logger: logger)
    let timekeeper = Timekeeper(clock: clock, tolerance: rules.schedule.clockTolerance, logger: logger)
    journal = Journal(
      lanes: stores.map {
        Lane(
          store: $0, rules: rules, clock: clock, timekeeper: timekeeper, dispatcher: dispatcher, changes: changes,
          unreadable: unreadable, logger: logger)
      })
    sweeper = Sweeper(
      journal: journal, dispatcher: dispatcher, clock: clock, logger: logger, interval: sweepInterval)
    neighbours = shared.map { Neighbours(reading: $0, changes: changes, clock: clock, logger: logger) }
    self.changes = changes
    self.dispatcher = dispatcher
    self.rules = rules
    self.clock = clock
  }

  /// Works until `stop`, and then in the order in which nothing is lost: no new call leaves, those under way come to
  /// their end and their evidence is stored, then the lanes end.
  /// - Parameter executors: the threads on which the lanes run; `nil` for those of the surrounding task.
  package func run(on executors: [any TaskExecutor]? = nil) async {
    await withTaskGroup(of: Void.self) { all in
      // A lane that shares its thread with others cannot be watched from there.
      if executors != nil { all.addTask { await watch() } }
      if let neighbours { all.addTask { await neighbours.run() } }
      await work(on: executors)
      all.cancelAll()
    }
  }

  private func work(on executors: [any TaskExecutor]?) async {
    await withTaskGroup(of: Void.self) { lanes in
      for (index, lane) in journal.lanes.enumerated() {
        // Without a thread of its own a lane stays where the engine is; an explicit `nil` would send it elsewhere.
        if let executors {
          lanes.addTask(executorPreference: executors[index]) { await lane.run() }
        } else {
          lanes.addTask { await lane.run() }
        }
      }
      await withTaskGroup(of: Void.self) { rest in
        rest.addTask { await sweeper.run() }
        rest.addTask { await changes.run() }
        rest.addTask { await dispatcher.run(reportingTo: journal) }
      }
      journal.close()
    }
  }

  /// Decides and stores commands, and does nothing else until it is cancelled: no call leaves, and nothing is looked at by
  /// itself. What is due stays so for whoever makes calls.
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
  /// - Returns: how many orders had leases.
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

  /// Sees to it that nobody waits for ever for a store that hangs, until it is cancelled.
  private func watch() async {
    while (try? await clock.sleep(for: .seconds(1))) != nil {
      for lane in journal.lanes { lane.answerOverdue(rules.schedule.storePatience) }
    }
  }

  /// Lets those go who wait for changes. The first step of an orderly end, so that open requests are answered.
  package func stopWaiting() { changes.stop() }

  /// Ends `run` once the calls under way are done.
  package func stop() {
    changes.stop()
    dispatcher.stop()
  }
}
