/// An amount of money in minor units of its currency: 1999 CNY is 19.99 yuan, 1999 JPY is 1999 yen.
package struct Money: Hashable, Sendable {
  package let amount: Int64
  package let currency: Currency

  package init(_ amount: Int64, _ currency: Currency) {
    self.amount = amount
    self.currency = currency
  }

  /// What an order may ask for. The upper bound keeps every sum of an order's payments and refunds far from overflow
  /// and is above what any provider takes in one payment.
  package static let orderAmounts: ClosedRange<Int64> = 1...999_999_999_999

  /// What a provider can be believed to have moved at once: far more than an order asks for, and so little that no sum
  /// of an order's payments and refunds overflows.
  package static let plausibleAmounts: ClosedRange<Int64> = 0...1_000_000_000_000_000

  /// For a person: `19.99 CNY`.
  package var text: String { "\(decimalText) \(currency.code)" }

  /// The amount with its decimal point where the currency has it, without grouping: `19.99`, `1999`, `1.999`.
  package var decimalText: String {
    let digits = String(amount.magnitude)
    let sign = amount < 0 ? "-" : ""
    guard currency.exponent > 0 else { return sign + digits }
    let padded = String(repeating: "0", count: max(0, currency.exponent + 1 - digits.count)) + digits
    return sign + padded.dropLast(currency.exponent) + "." + padded.suffix(currency.exponent)
  }
}
