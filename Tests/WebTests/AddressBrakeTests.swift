import PaymentCore
import Testing

@testable import Web

@Suite struct AddressBrakeTests {
  private static let robot: [UInt8] = [203, 0, 113, 7]

  private static func isRefused(_ brake: AddressBrake, _ address: [UInt8]?) -> Int64? {
    do throws(Refusal) { try brake.begin(address) } catch {
      #expect(error.code == .tooManyPayments)
      return error.retryAfter
    }
    return nil
  }

  @Test func aRobotThatOrdersAnewForEachCardHasToWait() {
    let clock = StillClock()
    let brake = AddressBrake(clock: clock)
    for _ in 0..<AddressBrake.most { #expect(Self.isRefused(brake, Self.robot) == nil) }
    clock.advance(by: .seconds(60))
    #expect(Self.isRefused(brake, Self.robot) == 540)
    #expect(Self.isRefused(brake, [203, 0, 113, 8]) == nil, "its neighbour is somebody else")
    clock.advance(by: .seconds(540))
    #expect(Self.isRefused(brake, Self.robot) == nil)
  }

  @Test func whatComesToGoodDoesNotCount() {
    let brake = AddressBrake(clock: StillClock())
    for _ in 0..<1000 {
      #expect(Self.isRefused(brake, Self.robot) == nil)
      brake.forgive(Self.robot)
    }
  }

  @Test func nobodysAddressIsNotBraked() {
    let brake = AddressBrake(clock: StillClock())
    for _ in 0..<1000 { #expect(Self.isRefused(brake, nil) == nil) }
  }

  @Test func itRemembersABoundedNumberAndForgetsTheQuietest() {
    let clock = StillClock()
    let brake = AddressBrake(clock: clock)
    for number in 0..<12_000 {
      clock.advance(by: .milliseconds(1))
      _ = Self.isRefused(brake, [2, UInt8(number >> 8), UInt8(number & 255)])
      #expect(brake.count <= 10_000)
    }
    for _ in 1..<AddressBrake.most { #expect(Self.isRefused(brake, [2, 46, 223]) == nil) }
    #expect(Self.isRefused(brake, [2, 46, 223]) != nil, "the newest is known")
    clock.advance(by: .seconds(600))
    #expect(Self.isRefused(brake, [1]) == nil)
  }
}
