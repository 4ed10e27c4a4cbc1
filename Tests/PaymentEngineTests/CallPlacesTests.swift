import PaymentCore
import Testing

@testable import PaymentEngine

/// The places at one provider, without anybody who makes the calls.
@Suite struct CallPlacesTests {
  static func call(_ number: Int, _ kind: Call.Kind, provider: String = "sandbox", isAwaited: Bool = false) -> Call {
    let payment = Payment(
      id: PaymentID(order: EngineHarness.id("r-\(number)"), ordinal: 1), key: IdempotencyKey("k")!,
      provider: ProviderName(provider), method: "ok", askedMethod: nil, amount: Money(1999, EngineHarness.cny),
      createdAt: FakeClock.start, expiresAt: FakeClock.start)
    let number = PaymentNumber(order: EngineHarness.number("r-\(number)"), ordinal: 1)
    return Call(kind, of: payment, number, description: nil, isAwaited: isAwaited)
  }

  private static func order(_ number: Int) -> OrderID { EngineHarness.id("r-\(number)") }

  /// Places of which as many are taken as these calls find.
  private static func places(
    _ limit: Int, waiting: Int = 1000, _ kind: Call.Kind, _ numbers: some Sequence<Int>
  ) -> CallPlaces {
    var places = CallPlaces(limit: limit, waiting: waiting)
    for number in numbers { _ = places.admit(call(number, kind), uptime: .zero) }
    return places
  }

  /// A call comes home, and what it said is stored.
  private static func end(_ call: Call, _ places: inout CallPlaces, isAnswer: Bool = true, at uptime: Duration = .zero)
  {
    places.land(call, isAnswer: isAnswer, uptime: uptime)
    places.settle(call.payment.order)
  }

  @Test(arguments: [2, 3, 8, 256]) func questionsLeavePlacesForChargesAndCloses(limit: Int) {
    var places = CallPlaces(limit: limit, waiting: 1000)
    let asked = (0..<500).count { places.admit(Self.call($0, .query), uptime: .zero) == nil }
    #expect(asked == limit - (limit + 3) / 4 && asked < limit)
    // The first question before a close, or before a charge, counts as these.
    for (number, kind) in zip(500..., [Call.Kind.charge, .close, .query].cycled(limit - asked)) {
      #expect(places.admit(Self.call(number, kind, isAwaited: true), uptime: .zero) == nil)
    }
    #expect(places.admit(Self.call(999, .charge), uptime: .zero) == .seconds(60))
  }

  @Test func whoActsGoesFirstAndWhoAsksGoesInTheEnd() {
    var places = Self.places(4, .charge, 0..<4)
    for number in 10..<40 { #expect(places.admit(Self.call(number, .query), uptime: .zero) != nil) }
    for number in 40..<60 { #expect(places.admit(Self.call(number, .close), uptime: .zero) != nil) }
    #expect(places.callUp(uptime: .zero) == nil)
    var called: [OrderID] = []
    var running = (0..<4).map { Self.call($0, .charge) }
    for _ in 0..<16 {
      Self.end(running.removeFirst(), &places)
      let order = places.callUp(uptime: .zero)!
      called.append(order)
      let number = (10..<60).first { Self.order($0) == order }!
      let next = Self.call(number, number < 40 ? .query : .close)
      #expect(places.recalled(order) == [next.subject])
      #expect(places.admit(next, uptime: .zero) == nil)
      places.settle(order)
      running.append(next)
      #expect(places.callUp(uptime: .zero) == nil)
    }
    let expected = [40, 41, 42, 43, 44, 45, 46, 10, 47, 48, 49, 50, 51, 52, 53, 11]
    #expect(called == expected.map(Self.order))
  }

  @Test func aCallWaitsOnceAndLongerEachTime() {
    var places = Self.places(1, waiting: 2, .charge, [0])
    func wait(_ number: Int, _ kind: Call.Kind, _ seconds: Int) -> Duration? {
      places.admit(Self.call(number, kind), uptime: .seconds(seconds))
    }
    #expect(wait(1, .query, 0) == .seconds(60))
    #expect(wait(1, .query, 70) == .seconds(70))
    #expect(wait(1, .query, 150) == .seconds(150))
    #expect(wait(1, .query, 3000) == .seconds(900))
    // It has become a close, and goes before one that came earlier.
    #expect(wait(2, .query, 3000) == .seconds(60))
    #expect(wait(2, .close, 3000) == .seconds(60))
    // The line is full.
    #expect(wait(3, .charge, 3000) == .seconds(60))
    Self.end(Self.call(0, .charge), &places)
    #expect(places.callUp(uptime: .seconds(3000)) == Self.order(2))
    places.settle(Self.order(2))
    #expect(places.callUp(uptime: .seconds(3000)) == Self.order(1))
    places.settle(Self.order(1))
    #expect(places.callUp(uptime: .seconds(3000)) == nil && places.isIdle)
  }

  @Test func whoFindsAPlaceLeavesTheLine() {
    var places = Self.places(1, .charge, 0..<2)
    Self.end(Self.call(0, .charge), &places)
    #expect(places.admit(Self.call(1, .charge), uptime: .zero) == nil)
    Self.end(Self.call(1, .charge), &places)
    #expect(places.callUp(uptime: .zero) == nil && places.isIdle)
  }

  @Test func whatComesNextTakesThePlaceOver() {
    var places = Self.places(1, .query, [0])
    #expect(places.admit(Self.call(1, .charge), uptime: .zero) != nil)
    places.land(Self.call(0, .query), isAnswer: true, uptime: .zero)
    // The close that follows, and nobody else; also when its transaction is tried again.
    #expect(places.admit(Self.call(2, .charge), uptime: .zero) != nil)
    #expect(places.admit(Self.call(0, .close), uptime: .zero) == nil)
    places.release(Self.call(0, .close))
    #expect(places.admit(Self.call(2, .charge), uptime: .zero) != nil)
    #expect(places.admit(Self.call(0, .close), uptime: .zero) == nil)
    places.settle(Self.order(0))
    #expect(places.callUp(uptime: .zero) == nil && !places.isIdle)
    Self.end(Self.call(0, .close), &places)
    #expect(places.callUp(uptime: .zero) == Self.order(1))
  }

  @Test func whoIsCalledUpKeepsThePlaceWhenTheTransactionIsTriedAgain() {
    var places = Self.places(1, .charge, 0..<2)
    Self.end(Self.call(0, .charge), &places)
    #expect(places.callUp(uptime: .zero) == Self.order(1))
    for _ in 0..<3 {
      #expect(places.recalled(Self.order(1)) == [Self.call(1, .charge).subject])
      #expect(places.admit(Self.call(1, .charge), uptime: .zero) == nil)
      #expect(places.admit(Self.call(2, .charge), uptime: .zero) != nil)
      places.release(Self.call(1, .charge))
    }
    places.settle(Self.order(1))
    #expect(places.recalled(Self.order(1)).isEmpty && places.isIdle)
    #expect(places.callUp(uptime: .zero) == Self.order(2))
  }

  @Test func anOutageEndsWithAQuestionAndStepByStep() {
    var places = Self.places(64, .charge, 0..<10)
    for number in 0..<10 { Self.end(Self.call(number, .charge), &places, isAnswer: false) }
    for number in 100..<150 { #expect(places.admit(Self.call(number, .charge), uptime: .zero) != nil) }
    for number in 150..<160 { #expect(places.admit(Self.call(number, .query), uptime: .zero) != nil) }
    #expect(places.callUp(uptime: .milliseconds(999)) == nil)
    let probe = Self.call(150, .query)
    #expect(places.callUp(uptime: .seconds(1)) == probe.payment.order)
    // Only one finds out, and what it left behind is asked by another when it is not made.
    #expect(places.callUp(uptime: .seconds(1)) == nil)
    places.settle(probe.payment.order)
    #expect(places.callUp(uptime: .seconds(1)) == Self.order(151))
    #expect(places.admit(Self.call(151, .query), uptime: .seconds(1)) == nil)
    places.settle(Self.order(151))
    #expect(places.admit(Self.call(300, .charge), uptime: .seconds(1)) != nil)
    var running = [Self.call(151, .query)]
    var rounds: [Int] = []
    for _ in 0..<5 {
      for call in running { Self.end(call, &places, at: .seconds(2)) }
      running = []
      while let order = places.callUp(uptime: .seconds(2)) {
        let call = ([300] + (100..<160)).map { Self.call($0, 150..<160 ~= $0 ? .query : .charge) }.first {
          $0.payment.order == order
        }!
        #expect(places.admit(call, uptime: .seconds(2)) == nil)
        places.settle(order)
        running.append(call)
      }
      rounds.append(running.count)
    }
    #expect(rounds == [2, 4, 8, 16, 29], "all 59 that waited")
  }

  @Test func aLineForgetsThoseThatHaveLeft() {
    var line = CallLine(limit: 100_000)
    for round in 0..<200 {
      for number in 0..<20 { _ = line.join(Self.call(number, .query), uptime: .seconds(round)) }
      for number in 0..<20 where number != 7 { line.leave(Self.call(number, .query)) }
    }
    #expect(line.length <= 2 * 20 + 64)
    #expect(line.popFirst(.asking)?.order == Self.order(7))
    #expect(line.isEmpty && line.hasNone(.asking) && line.popFirst(.asking) == nil)
  }
}

extension [Call.Kind] {
  /// So many, one after the other.
  fileprivate func cycled(_ count: Int) -> [Call.Kind] { (0..<count).map { self[$0 % self.count] } }
}
