/// What a provider can do, as far as `decide` must know it.
package struct CapabilitySheet: Hashable, Sendable {
  /// The methods that can be asked for; the first one is meant when none is named.
  package let methods: [String]
  /// The currencies it takes; `nil` for all.
  package let currencies: [String]?
  /// Amounts it takes, in minor units.
  package let amounts: ClosedRange<Int64>
  /// What every amount must be a multiple of, by currency; 1 where none is named.
  package let steps: [String: Int64]
  /// How long one and the same create or refund may be repeated after it was first sent; `nil` for ever. Afterwards
  /// the provider has forgotten the key, and would take the money again.
  package let repeatWindow: Duration?
  /// Whether a create can itself take money, without a further step of the buyer.
  package let createMovesMoney: Bool
  /// What a query that finds nothing means for a payment that waits for the buyer.
  package let absence: Absence
  /// How a charge that may be on its way unseen is kept from taking money.
  package let burning: Burning
  /// The codes of a refused create that prove it can take no money, if it was the first attempt.
  package let finalRejections: [String]
  /// Methods for which money may still come after a confirmed close, and for how long after it.
  package let lateMoney: [String: Duration]
  /// How long a payment waits for the buyer at most; the order's deadline, if sooner.
  package let actionLife: Duration

  package enum Absence: Hashable, Sendable {
    /// Nothing can be said yet.
    case notVisible
    /// The buyer has not begun (a code nobody scanned): it waits, as before.
    case notBegun
  }

  package enum Burning: Hashable, Sendable {
    /// A close of an unknown id is recorded, and a later create of it takes no money.
    case close
    /// The create is made again under the same key, and what it returns is closed.
    case createThenClose
    /// There is nothing to burn: closed softly, and watched.
    case none
  }

  package init(
    methods: [String], currencies: [String]? = nil, amounts: ClosedRange<Int64> = Money.orderAmounts,
    steps: [String: Int64] = [:], repeatWindow: Duration? = nil, createMovesMoney: Bool, absence: Absence = .notVisible,
    burning: Burning, finalRejections: [String] = [], lateMoney: [String: Duration] = [:],
    actionLife: Duration = .seconds(30 * 86_400)
  ) {
    precondition(!createMovesMoney || burning != .createThenClose, "to burn by a create that takes money would take it")
    self.methods = methods
    self.currencies = currencies
    self.amounts = amounts
    self.steps = steps
    self.repeatWindow = repeatWindow
    self.createMovesMoney = createMovesMoney
    self.absence = absence
    self.burning = burning
    self.finalRejections = finalRejections
    self.lateMoney = lateMoney
    self.actionLife = actionLife
  }

  /// Whether the provider can take, or return, this amount.
  package func supports(_ money: Money) -> Bool {
    amounts.contains(money.amount) && (currencies?.contains(money.currency.code) ?? true)
      && money.amount % (steps[money.currency.code] ?? 1) == 0
  }
}
