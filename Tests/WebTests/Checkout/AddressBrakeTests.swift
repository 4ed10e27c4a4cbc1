import PaymentCore
import Testing

@testable import Checkout

@Suite struct AddressBrakeTests {
  private static let robot: [UInt8] = [203, 0, 113, 7]
  private static let payment = PaymentID(
    order: OrderID(at: Instant(milliseconds: 1_795_000_000_000), number: OrderNumber(bits: 1), random: 1), ordinal: 1)

  /// A try whose payment ends in this way; what the brake finds out about those before it, where it looks.
  /// - Returns: after how many seconds it may be made, if not now.
  private static func attempt(
    _ brake: AddressBrake, _ address: [UInt8]?, others: Payment.Status? = .failed
  ) async throws -> Int64? {
    do {
      let number = try await brake.begin(address) { _ in others }
      brake.end(address, number, started: payment)
      return nil
    } catch let refusal as Refusal {
      #expect(refusal.code == .tooManyPayments)
      return refusal.retryAfter
    }
  }

  @Test func aRobotThatOrdersAnewForEachCardHasToWait() async throws {
    let clock = StillClock()
    let brake = AddressBrake(clock: clock)
    for _ in 0..<AddressBrake.most { #expect(try await Self.attempt(brake, Self.robot) == nil) }
    clock.advance(by: .seconds(60))
    #expect(try await Self.attempt(brake, Self.robot) == 540)
    #expect(try await Self.attempt(brake, [203, 0, 113, 8]) == nil, "its neighbour is somebody else")
    clock.advance(by: .seconds(540))
    #expect(try await Self.attempt(brake, Self.robot) == nil)
  }

  @Test(arguments: [Payment.Status.succeeded, .requiresAction, .closed])
  func whatWasNotDeclinedDoesNotCount(_ status: Payment.Status) async throws {
    let brake = AddressBrake(clock: StillClock())
    for _ in 0..<500 { #expect(try await Self.attempt(brake, Self.robot, others: status) == nil) }
  }

  /// A bank is slow, and many honest people are behind one address.
  @Test func whatIsUnderWayIsWaitedForShortly() async throws {
    let clock = StillClock()
    let brake = AddressBrake(clock: clock)
    for _ in 0..<AddressBrake.most { #expect(try await Self.attempt(brake, Self.robot) == nil) }
    #expect(try await Self.attempt(brake, Self.robot, others: .processing) == 2)
    clock.advance(by: .seconds(2))
    #expect(try await Self.attempt(brake, Self.robot, others: .succeeded) == nil)
  }

  @Test func aRobotThatGoesOnDoesNotMakeTheStoreWork() async throws {
    let brake = AddressBrake(clock: StillClock())
    for _ in 0..<AddressBrake.most { #expect(try await Self.attempt(brake, Self.robot) == nil) }
    var looks = 0
    for _ in 0..<100 {
      await #expect(throws: Refusal.self) {
        try await brake.begin(Self.robot) { _ in
          looks += 1
          return .failed
        }
      }
    }
    #expect(looks == AddressBrake.most)
  }

  @Test func whatStartedNothingDoesNotCount() async throws {
    let brake = AddressBrake(clock: StillClock())
    for _ in 0..<100 {
      let number = try await brake.begin(Self.robot) { _ in .failed }
      brake.end(Self.robot, number, started: nil)
    }
    #expect(brake.count == 0)
  }

  @Test func nobodysAddressIsNotBraked() async throws {
    let brake = AddressBrake(clock: StillClock())
    for _ in 0..<100 { #expect(try await Self.attempt(brake, nil) == nil) }
  }

  @Test func itRemembersABoundedNumberAndForgetsTheQuietest() async throws {
    let clock = StillClock()
    let brake = AddressBrake(clock: clock)
    for number in 0..<12_000 {
      clock.advance(by: .milliseconds(1))
      _ = try await Self.attempt(brake, [2, UInt8(number >> 8), UInt8(number & 255)])
      if brake.count > 10_000 { Issue.record("\(brake.count) are remembered") }
    }
    for _ in 1..<AddressBrake.most { #expect(try await Self.attempt(brake, [2, 46, 223]) == nil) }
    #expect(try await Self.attempt(brake, [2, 46, 223]) != nil, "the newest is known")
  }
}
