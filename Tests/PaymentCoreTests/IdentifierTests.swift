import PaymentCore
import Testing

@Suite struct IdentifierTests {
  @Test func textIsCanonicalSortedAndShort() {
    let early = OrderID(at: OrderStory.start, number: OrderStory.number, random: .max)
    let late = OrderID(at: OrderStory.start.advanced(by: .milliseconds(1)), number: OrderStory.number, random: 0)
    #expect(early.text < late.text)
    #expect(early < late)
    #expect(OrderID(text: early.text) == early)
    #expect(OrderID(text: early.text.uppercased()) == nil)
    let payment = PaymentID(order: early, ordinal: 1023)
    #expect(payment.text.utf8.count == 32)
    #expect(PaymentID(text: payment.text) == payment)
    #expect(PaymentID(text: "ref_" + payment.text.dropFirst(4)) == nil)
    #expect(PaymentID(text: String(payment.text.dropLast(2)) + "00") == nil)
    let event = EventID(order: early, sequence: EventID.maximumSequence)
    #expect(event.text.utf8.count == 32)
    #expect(EventID(text: event.text) == event)
    let token = CheckoutToken(order: early, secret: .max)
    #expect(CheckoutToken(text: token.text) == token)
    for junk in ["", "ord_", "ord_" + String(repeating: "z", count: 26), "ord_" + String(repeating: "é", count: 13)] {
      #expect(OrderID(text: junk) == nil)
    }
  }

  @Test func anOrderHasOneLaneByWhicheverNameItIsCalled() {
    let ids = (0..<50).map { OrderID(at: OrderStory.start, number: OrderStory.number, random: UInt64($0)) }
    #expect(Set(ids.map(\.laneBits)) == [OrderStory.number.laneBits])
    #expect(OrderName.id(ids[0]).laneBits == OrderName.number(OrderStory.number).laneBits)
    let spread = Set((0..<500).map { OrderStory.numbering.order(OrderStory.merchant, "r\($0)").laneBits % 8 })
    #expect(spread.count == 8)
  }

  @Test func numbersForProvidersAreShortAndPlain() throws {
    let payment = PaymentNumber(order: OrderNumber(bits: .max), ordinal: 1023)
    #expect(payment.text.utf8.count == 29 && PaymentNumber(text: payment.text) == payment)
    let refund = RefundNumber(bits: .max)
    #expect(refund.text.utf8.count == 27 && RefundNumber(text: refund.text) == refund)
    for text in [payment.text, refund.text, PaymentNumber(order: OrderNumber(bits: 0), ordinal: 1).text] {
      #expect(text.utf8.count <= 32 && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) })
    }
    for junk in [
      "", "p", refund.text, payment.text.uppercased(), String(payment.text.dropLast(2)) + "00", payment.text + "0",
      "p8" + payment.text.dropFirst(2), "x" + payment.text.dropFirst(),
    ] { #expect(PaymentNumber(text: junk) == nil, "\(junk)") }
    for junk in ["", "r", payment.text, refund.text.uppercased(), "r8" + refund.text.dropFirst(2)] {
      #expect(RefundNumber(text: junk) == nil, "\(junk)")
    }
  }

  @Test func fieldsReadWhatTheyWrote() {
    var fields = Fields(["a": .text("quote \" back \\ line \n nul \u{0} 中文 😀"), "b": .integer(-5), "c": .null])
    #expect(Fields(text: fields.text) == fields)
    fields.append("d", "")
    #expect(Fields(text: fields.text) == fields)
    for junk in ["", "{", "{}x", "[]", "{\"a\":}", "{\"a\":1.5}", "{\"a\" :1}"] { #expect(Fields(text: junk) == nil) }
  }

  @Test func moneyIsShownWithItsOwnDecimals() {
    #expect(Money(1999, Currency(code: "CNY")!).decimalText == "19.99")
    #expect(Money(5, Currency(code: "CNY")!).decimalText == "0.05")
    #expect(Money(1999, Currency(code: "JPY")!).decimalText == "1999")
    #expect(Money(1999, Currency(code: "KWD")!).decimalText == "1.999")
    #expect(Currency(code: "cny") == nil)
    #expect(Currency(code: "XXX") == nil)
  }
}
