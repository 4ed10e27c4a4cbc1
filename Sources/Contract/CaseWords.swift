package import PaymentCore

extension Case {
  /// What an operator is advised to do.
  package var advice: String {
    let provider = provider.text
    switch reason {
    case .unknownPayment:
      return
        "\(provider) has money of a payment that this store does not know: `payonce find-forgotten` takes it in where "
        + "its order is here; else return it there"
    case .wrongAmount where refund != nil:
      return "\(provider) returned another amount than it was asked to. See why, and whether the buyer has what is due"
    case .wrongAmount: return "\(provider) took another amount than it was asked to; it goes back by itself. See why"
    case .refundRefused, .refundFailed:
      return "\(provider) did not return this money: see why. Then say `payonce cases resolve`, with one of its choices"
    case .disputed: return "see it at \(provider): it took back more than it was asked to"
    case .archivedOrder:
      return
        "\(provider) says something new about an order in an archive, which `payonce show \(id.order.text)` names: bring it "
        + "back with `payonce archive restore`, and have \(provider) asked about it with `payonce find-forgotten`"
    case .unresolved:
      return
        "for a day nobody could learn what became of it: see whether \(provider) answers, or is turned off at the servers, "
        + "and what it says there"
    }
  }
}

extension Case.Choice {
  /// What is done when it is chosen.
  package var meaning: String {
    switch self {
    case .retry: "the provider is asked once more to return the money, under the same number"
    case .newRefund: "the provider is asked what became of the old number, and then to return the money under a new one"
    case .settledOutside: "nothing is sent: the money was returned by other means"
    case .acknowledge: "seen; nothing is to be done here"
    }
  }
}
