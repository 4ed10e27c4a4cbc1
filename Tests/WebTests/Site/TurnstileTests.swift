import HTTPTypes
import Hummingbird
import HummingbirdTesting
import PaymentEngine
import Synchronization
import Testing

@testable import Site

@Suite struct TurnstileTests {
  /// Where those who are let through stay until they are told to go on.
  final class Room: Sendable {
    private struct State {
      var inside: [CheckedContinuation<Void, Never>] = []
      var isOpen = false
      var most = 0
      var count = 0
    }
    private let state = Mutex(State())
    var inside: Int { state.withLock { $0.inside.count } }
    var most: Int { state.withLock { $0.most } }
    var count: Int { state.withLock { $0.count } }

    func stay() async {
      await withCheckedContinuation { continuation in
        let goesOn = state.withLock { state in
          state.count += 1
          guard !state.isOpen else { return true }
          state.inside.append(continuation)
          state.most = max(state.most, state.inside.count)
          return false
        }
        if goesOn { continuation.resume() }
      }
    }

    /// Lets those go on who are inside, and with `open` whoever comes later.
    func release(andStayOpen open: Bool = false) {
      let inside = state.withLock { state in
        state.isOpen = open
        defer { state.inside = [] }
        return state.inside
      }
      for continuation in inside { continuation.resume() }
    }
  }

  /// Waits until it is so, a bounded while.
  static func until(_ condition: () -> Bool) async throws {
    for _ in 0..<1_000_000 where !condition() { await Task.yield() }
    try #require(condition())
  }

  @Test func aFewAreLetThroughAtATimeAndOneTooManyIsTurnedAway() async throws {
    let (turnstile, room) = (Turnstile(atOnce: 2, waiting: 3), Room())
    try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<5 {
        group.addTask {
          try await turnstile.pass { () async throws(Fault) -> Int in
            await room.stay()
            return number
          }
        }
      }
      try await Self.until { room.inside == 2 && turnstile.waiting == 3 }
      await #expect(throws: Fault.overloaded) { try await turnstile.pass { () async throws(Fault) in } }
      var done: Set<Int> = []
      for count in [2, 1] {
        room.release()
        for _ in 0..<2 { done.insert(try #require(try await group.next())) }
        try await Self.until { room.inside == count }
      }
      room.release()
      done.insert(try #require(try await group.next()))
      #expect(done == Set(0..<5) && room.most == 2)
    }
    // Nobody is inside any more: it is as it was.
    #expect(try await turnstile.pass { () async throws(Fault) -> Int in 7 } == 7)
  }

  /// Each would find a store that hangs for itself, one after the other.
  @Test func whoWaitsBehindAFaultIsToldOfIt() async throws {
    let (turnstile, room) = (Turnstile(atOnce: 1, waiting: 10), Room())
    await withTaskGroup(of: Fault?.self) { group in
      for _ in 0..<6 {
        group.addTask {
          do throws(Fault) {
            try await turnstile.pass { () async throws(Fault) in
              await room.stay()
              throw .unavailable("no disk")
            }
            return nil
          } catch { return error }
        }
      }
      try? await Self.until { room.inside == 1 && turnstile.waiting == 5 }
      room.release()
      for await fault in group { #expect(fault == .unavailable("no disk")) }
    }
    #expect(room.count == 1)
    #expect(try await turnstile.pass { () async throws(Fault) -> Int in 7 } == 7)
  }

  /// Whoever tries keys that do not exist keeps the store busy with two of them at most, and nobody waits for him whose key
  /// is known.
  @Test func keysThatDoNotExistAreLookedUpTwoAtATime() async throws {
    let house = FakeHouse()
    let (clock, room) = (StillClock(), Room())
    let key = try await house.newKey()
    let application = Application(router: house.gate(clock: clock).router())
    try await application.test(.router) { client in
      @Sendable func status(_ key: String) async throws -> Int {
        try await client.execute(uri: "/v1/orders", method: .get, headers: [.authorization: "Bearer \(key)"]) {
          $0.status.code
        }
      }
      #expect(try await status(key.text) == 200)
      house.whenLookedUp { if $0 != key.id { await room.stay() } }
      try await withThrowingTaskGroup(of: Int.self) { group in
        for number in 0..<40 {
          let unknown = AccessKey.merchant(CountingDice(from: UInt64(1000 * (number + 1)))).text
          group.addTask { try await status(unknown) }
        }
        try await Self.until { room.inside == 2 }
        // What is believed of a key is over, and it is asked about at once.
        clock.advance(by: .seconds(5))
        #expect(try await status(key.text) == 200)
        room.release(andStayOpen: true)
        for try await status in group { #expect(status == 401) }
      }
      #expect(room.most == 2 && room.count == 40)
    }
  }
}
