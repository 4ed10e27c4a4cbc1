extension Order {
  /// Whether it is as every decision leaves it, as far as a store can tell from the order alone. What is not so is neither
  /// written nor read.
  package var keepsTheGuards: Bool {
    registration.amount.amount > 0 && statusIsWhole && paymentsAreWhole && refundsAreWhole
  }

  private var statusIsWhole: Bool {
    (status == .paid) == (paidAt != nil) && (status == .paid) == (keptPayment != nil)
      && (status == .closed) == (closedAt != nil) && (status == .closing || status == .closed) == (closeReason != nil)
  }

  private var paymentsAreWhole: Bool {
    payments.count(where: \.isLive) <= 1 && payments.count(where: \.isKept) <= 1
      && payments.allSatisfy { $0.amount.amount > 0 }
      && (payments.count < 2 || Set(payments.map(\.key)).count == payments.count)
  }

  private var refundsAreWhole: Bool {
    struct Key: Hashable {
      let payment: PaymentID
      let key: IdempotencyKey
    }
    var (keys, surplus, numbers): (Set<Key>, Set<PaymentID>, Set<RefundNumber>) = ([], [], [])
    return refunds.allSatisfy { refund in
      guard payment(refund.payment) != nil, refund.amount.amount > 0 else { return false }
      if let number = refund.number, !numbers.insert(number).inserted { return false }
      // What was not made by the provider is made, or asked about, under a number.
      guard refund.number != nil || refund.calls.nextAt == nil else { return false }
      if let key = refund.key, !keys.insert(Key(payment: refund.payment, key: key)).inserted { return false }
      // Two may have been done, where the provider did what it had called undone; but no two are on their way.
      let isUnderWay = refund.cause == .surplus && refund.status == .processing
      return !isUnderWay || surplus.insert(refund.payment).inserted
    }
  }
}
