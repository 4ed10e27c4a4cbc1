import PaymentCore

/// What a provider of a kind makes of a request, and what may happen there by itself.
struct ModelBank {
  let kind: BankKind
  /// Whether closed charges may still take money for a while.
  let isEverLate: Bool

  /// What is checked: each kind of bank, and the sandbox also without late money.
  static let all =
    BankKind.allCases.map { ModelBank(kind: $0, isEverLate: !$0.sheet.lateMoney.isEmpty) }
    + [ModelBank(kind: .sandbox, isEverLate: false)]

  var name: String { kind == .sandbox && !isEverLate ? "sandbox, never late" : kind.rawValue }

  /// For how many seconds after the one of its close.
  static let lateness: Int64 = 0

  /// A charge in the books. Only what decides about what can happen.
  struct Charge {
    enum Status: CaseIterable { case open, declined, closed, captured }
    var status = Status.open
    var isBegun: Bool { begunAt != nil }
    /// A try was declined, and the buyer may try again.
    var isDeclined = false
    /// A buyer may have seen what to pay with.
    var isShown = false
    /// Whether a close found it, not an unknown number.
    var isReal = true
    /// The seconds in which it was scanned, closed, and took money.
    var begunAt: Int64?
    var closedAt: Int64?
    var capturedAt: Int64?

    /// Every status that it ever had: a notice of any of them may still be on its way.
    var past: [Status] {
      [.open] + (closedAt != nil ? [.closed] : []) + (status == .captured || status == .declined ? [status] : [])
    }
  }

  enum Answer {
    case payment(PaymentEvidence.Verdict)
    case refund(RefundEvidence.Verdict)
  }

  /// What a create can lead to that nobody determines.
  var creations: [Charge.Status] { kind.sheet.createMovesMoney ? [.captured, .open, .declined] : [.open] }

  func verdict(_ status: Charge.Status) -> PaymentEvidence.Verdict {
    switch status {
    case .open: .pending(.qrCode(content: "pay here"))
    case .declined: .failed(Failure(code: "declined", message: ""))
    case .closed: .closed
    case .captured: .succeeded(ModelState.price)
    }
  }

  private func verdict(of charge: Charge) -> PaymentEvidence.Verdict {
    guard charge.status == .open, charge.isDeclined else { return verdict(charge.status) }
    return .declined(Failure(code: "card", message: ""), .qrCode(content: "pay here"))
  }

  /// What is told of a charge to whoever asks.
  func found(_ charge: Charge?) -> PaymentEvidence.Verdict {
    guard let charge else { return .notFound }
    if kind == .alipay, !charge.isBegun, charge.status == .open || charge.status == .closed { return .notFound }
    return verdict(of: charge)
  }

  /// - Parameter isOver: whether the moment until which the charge may be paid has passed.
  func create(
    _ charge: inout Charge?, _ outcome: Charge.Status, isOver: Bool, _ now: Int64
  ) -> PaymentEvidence.Verdict {
    if let known = charge {
      if kind == .wechat, known.status != .open { return .rejected(Failure(code: "trade_over", message: "")) }
      return verdict(of: known)
    }
    var new = Charge()
    new.status = isOver ? .closed : outcome
    if new.status == .closed { new.closedAt = now }
    if new.status == .captured { new.capturedAt = now }
    charge = new
    return verdict(new.status)
  }

  func close(_ charge: inout Charge?, _ now: Int64) -> PaymentEvidence.Verdict {
    guard var known = charge else {
      switch kind {
      case .sandbox:
        var burnt = Charge(closedAt: now)
        burnt.status = .closed
        burnt.isReal = false
        charge = burnt
        return .closed
      case .stripe, .alipay: return .closedSoftly
      case .wechat: return .rejected(Failure(code: "trade_not_exist", message: ""))
      }
    }
    guard known.status == .open else { return verdict(known.status) }
    if kind == .alipay, !known.isBegun { return .closedSoftly }
    known.status = .closed
    known.closedAt = now
    charge = known
    return .closed
  }

  /// Whether an open charge can take money without anybody showing it to a buyer first.
  func canBePaid(_ charge: Charge) -> Bool {
    charge.status == .open && (kind.sheet.createMovesMoney || charge.isShown)
  }

  func canBeLate(_ charge: Charge, _ now: Int64) -> Bool {
    guard isEverLate, charge.isReal, charge.status == .closed, let closedAt = charge.closedAt else { return false }
    return now <= closedAt + Self.lateness
  }
}
