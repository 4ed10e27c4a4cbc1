import Glibc
import OrderRows
import PaymentCore
package import PaymentEngine
import Synchronization

/// The writing side, for one lane of one node. A batch is two round trips: its orders are locked and read, in the order of
/// their ids; and what changed is written and committed.
package final class PostgresStore: Store {
  private struct State {
    var session: PostgresSession?
    var batch: Int64 = 0
    var fence: Int64 = 0
  }
  private let state = Mutex(State())
  private let address: PostgresAddress
  private let id: String
  private let clock: any Clock

  /// For how long it is tried to find out what became of a commit.
  private static let doubtLimit: Duration = .seconds(30)

  /// - Parameter id: unique among all lanes of all nodes, also of earlier ones.
  package init(_ address: PostgresAddress, id: String, clock: any Clock) {
    self.address = address
    self.id = id
    self.clock = clock
  }

  package func transact<Answer: Sendable>(
    _ scopes: [Scope], _ decide: (Loaded) throws(Fault) -> (changes: Changeset, answer: Answer)
  ) throws(Fault) -> Answer {
    try state.withLock { state throws(Fault) in
      let (loaded, stale) = try begin(scopes, &state)
      let decided: (changes: Changeset, answer: Answer)
      do throws(Fault) { decided = try decide(loaded) } catch {
        rollBack(&state)
        throw error
      }
      let isLookedFor = scopes.contains { if case .due = $0 { false } else { true } }
      // What was seen is safe once a later write is, and a former primary, on which much is missing, takes none: so an
      // answer is never without one.
      let isWriting = !decided.changes.isEmpty || isLookedFor || !loaded.orders.isEmpty
      try commit(decided.changes, stale, isWriting: isWriting, &state)
      return decided.answer
    }
  }

  private func begin(_ scopes: [Scope], _ state: inout State) throws(Fault) -> (Loaded, [StaleWake]) {
    do throws(PostgresFailure) { return try load(scopes, &state) } catch .lost {
      // Nothing was changed yet: another connection may do, once.
      state.session = nil
      do throws(PostgresFailure) { return try load(scopes, &state) } catch { throw abandon(error, &state) }
    } catch { throw abandon(error, &state) }
  }

  private func commit(
    _ changes: Changeset, _ stale: [StaleWake], isWriting: Bool, _ state: inout State
  ) throws(Fault) {
    do throws(PostgresFailure) {
      var calls: [PostgresCall] = []
      if isWriting {
        let (batch, now) = (state.batch + 1, clock.now().milliseconds)
        calls.append(PostgresCall(PostgresSQL.advance, [id, "\(batch)", "\(now)", "\(state.fence)"]))
        calls += try PostgresSQL.calls(changes, stale, session: id, batch: batch)
      }
      _ = try session(&state).connection.run(calls + [.commit], within: PostgresSession.limit)
      if isWriting { state.batch += 1 }
    } catch .lost where isWriting {
      state.session = nil
      guard try hasCommitted(state.batch + 1, &state) else { throw .conflict }
    } catch { throw abandon(error, &state) }
  }

  // MARK: Reading

  private func load(
    _ scopes: [Scope], _ state: inout State
  ) throws(PostgresFailure) -> (Loaded, [StaleWake]) {
    let session = try session(&state)
    var (ids, numbers): ([OrderID], [OrderNumber]) = ([], [])
    var calls = [PostgresCall.begin, PostgresCall(PostgresSQL.clock)]
    var due: [(call: PostgresCall, limit: Int)] = []
    for scope in scopes {
      switch scope {
      case .order(let id): ids.append(id)
      case .number(let number): numbers.append(number)
      case .due(let now, let place, let limit, let share):
        let place = place ?? .start
        let id = PostgresSQL.bytes(place.id.bits.bytes)
        let arguments = [
          "\(now.milliseconds)", "\(place.at)", id, "\(limit)", "\(share.count)", "\(share.index)",
        ]
        due.append((PostgresCall(PostgresSQL.lockDue, arguments), limit))
      }
    }
    let idArray = PostgresSQL.array(ids.map { $0.cell })
    let numberArray = PostgresSQL.array(numbers.map { $0.cell })
    if !numbers.isEmpty {
      calls.append(PostgresCall(PostgresSQL.lockByIDOrNumber, [idArray, numberArray]))
    } else if !ids.isEmpty {
      calls.append(PostgresCall(PostgresSQL.lockByID, [idArray]))
    }
    calls += due.map(\.call)
    let orders = 2..<calls.count
    // After the orders, so that what is seen here and not there is held by others, or new.
    let named = PostgresCall(PostgresSQL.named, [idArray, numberArray])
    if !numbers.isEmpty {
      calls += [named, Self.strays(numbers.map { OrderName.number($0).idOfStrays })]
    }
    let askedAt = clock.uptime()
    let results = try session.connection.run(calls, within: PostgresSession.limit)
    var loaded = Loaded()
    loaded.clockLead = clockLead(results[1], askedAt: askedAt)
    loaded.add(results[orders].lazy.flatMap(\.rows))
    if !numbers.isEmpty {
      try loaded.note(scopes, results[orders.upperBound].rows)
      loaded.addStrays(results[orders.upperBound + 1])
    }
    // Whoever names an order by its id has mostly seen it.
    let stored = loaded.stored
    let missing = ids.filter { !stored.contains($0) }
    if !missing.isEmpty {
      let more = try session.connection.run([named, Self.strays(missing)], within: PostgresSession.limit)
      try loaded.note(scopes, more[0].rows)
      loaded.addStrays(more[1])
    }
    let archived = loaded.archived.values.map(\.id).filter { id in !ids.contains(id) }
    if !archived.isEmpty {
      loaded.addStrays(try session.connection.run([Self.strays(archived)], within: PostgresSession.limit)[0])
    }
    var stale: [StaleWake] = []
    let byID = Dictionary(loaded.orders.map { ($0.id, $0) }) { first, _ in first }
    for (result, due) in zip(results[orders].suffix(due.count), due) {
      let places = result.rows.compactMap { WakePlace($0) }
      if result.rows.count == due.limit { loaded.dueEnd = places.last }
      stale += places.compactMap { place in byID[place.id].flatMap { StaleWake(place, of: $0) } }
    }
    return (loaded, stale)
  }

  private static func strays(_ ids: [OrderID]) -> PostgresCall {
    PostgresCall(PostgresSQL.strays, [PostgresSQL.array(ids.map(\.cell))])
  }

  /// How far this machine's clock is certainly ahead of the database's. When in the round trip that looked at its own is
  /// not known.
  private func clockLead(_ result: PostgresResult, askedAt: Duration) -> Duration? {
    guard let database = result.rows.first?.integer(at: 0) else { return nil }
    let lead = clock.now().since(Instant(milliseconds: database))
    return min(lead, max(.zero, lead - (clock.uptime() - askedAt)))
  }

  private func session(_ state: inout State) throws(PostgresFailure) -> PostgresSession {
    if let session = state.session { return session }
    let session = try PostgresSession(address, id: id, clock: clock)
    (state.session, state.batch, state.fence) = (session, session.batch, session.fence)
    return session
  }

  // MARK: Failures

  /// Ends the transaction, of which nothing was committed. When rows were not found, they may be this session's own.
  private func abandon(_ failure: PostgresFailure, _ state: inout State) -> Fault {
    switch failure {
    case .statement(PostgresFailure.divisionByZero, _), .lost, .unreadable: state.session = nil
    case .statement, .impossible: rollBack(&state)
    }
    return failure.fault
  }

  private func rollBack(_ state: inout State) {
    if (try? state.session?.connection.run([.rollback], within: PostgresSession.limit)) == nil { state.session = nil }
  }

  /// Finds out whether a batch was committed, of which that was not acknowledged, by a write that conflicts with it.
  /// - Throws: `unknownCommit` when that cannot be found out in time.
  private func hasCommitted(_ batch: Int64, _ state: inout State) throws(Fault) -> Bool {
    let end = clock.uptime() + Self.doubtLimit
    while clock.uptime() < end {
      do throws(PostgresFailure) {
        return try session(&state).batch == batch
      } catch {
        // Until a standby is promoted, or the one who still commits is done.
        poll(nil, 0, 200)
      }
    }
    throw .unknownCommit
  }
}

extension Loaded {
  /// Takes in the orders of these rows, each once.
  mutating func add(_ rows: some Sequence<PostgresRow>) {
    var seen = Set(orders.map(\.id))
    for row in rows {
      do {
        let order = try Order(row)
        if seen.insert(order.id).inserted { orders.append(order) }
      } catch { unreadable.append(UnreadableOrder(row, (error as? UnreadableRow)?.table ?? "orders")) }
    }
  }

  /// One that cannot be read is left as it is, and holds nobody else up.
  fileprivate mutating func addStrays(_ result: PostgresResult) {
    strays += result.rows.compactMap { try? Case($0) }
  }

  /// Notes which scopes name orders that are there and could not be locked, and which name orders in an archive.
  /// - Parameter rows: of `PostgresSQL.named`.
  fileprivate mutating func note(_ scopes: [Scope], _ rows: some Sequence<PostgresRow>) throws(PostgresFailure) {
    let stored = stored
    var found: [[UInt8]: ArchivedOrder?] = [:]
    for row in rows {
      guard let id = OrderID(row, at: 0), let number = row.bytes(at: 1), !stored.contains(id) else { continue }
      do {
        let order = row.isNull(at: 2) ? nil : try ArchivedOrder(row)
        for name in [id.bits.bytes, number] { found[name] = .some(order) }
      } catch { throw PostgresFailure(reading: error) }
    }
    guard !found.isEmpty else { return }
    for scope in scopes {
      guard let name = scope.name, let order = found[name.column.value] else { continue }
      if let order {
        archived[name] = order
      } else if !held.contains(scope) {
        held.append(scope)
      }
    }
  }

  /// The orders that were found and locked, be they readable or not.
  fileprivate var stored: Set<OrderID> {
    Set(orders.map(\.id)).union(unreadable.compactMap { OrderID(text: $0.id) })
  }
}
