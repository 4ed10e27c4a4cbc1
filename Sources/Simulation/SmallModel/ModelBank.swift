import PaymentCore

/// What a provider of a kind makes of a request, and what may happen there by itself.
struct ModelBank {
  let kind: BankKind
  /// Whether closed charges may still take money for a while.
  var isEverLate: Bool { !sheet.lateMoney.isEmpty }
  /// For how many seconds after the one of its close.
  let lateness: Int64
  /// The kind's own sheet, in seconds instead of hours: a second is the model's unit of time.
  let sheet: CapabilitySheet
  /// What the shop wants done with money that comes when its order is over.
  let latePayment: Order.Registration.LatePayment
  let name: String

  /// What is checked, what is done soonest first: each kind of bank, and some of them otherwise.
  static let all = [
    ModelBank(.stripe), ModelBank(.stripe, "keys soon forgotten", repeatWindow: 2),
    ModelBank(.sandbox, "never late", lateness: nil), ModelBank(.alipay), ModelBank(.sandbox), ModelBank(.wechat),
    ModelBank(.sandbox, "late for longer, and the shop takes it", lateness: 1, latePayment: .accept),
  ]

  /// - Parameters:
  ///   - lateness: for how many seconds after the one of its close a charge may take money, where it ever may.
  ///   - repeatWindow: for how many seconds a key is known, where it is ever forgotten.
  private init(
    _ kind: BankKind, _ difference: String = "", lateness: Int64? = 0, repeatWindow: Int64 = 4,
    latePayment: Order.Registration.LatePayment = .refund
  ) {
    self.kind = kind
    self.latePayment = latePayment
    self.lateness = lateness ?? 0
    name = kind.rawValue + (difference.isEmpty ? "" : ", ") + difference
    let full = kind.sheet
    sheet = CapabilitySheet(
      methods: ["any"], repeatWindow: full.repeatWindow.map { _ in .seconds(repeatWindow) },
      createMovesMoney: full.createMovesMoney, absence: full.absence, burning: full.burning,
      finalRejections: full.finalRejections,
      lateMoney: full.lateMoney.isEmpty ? [:] : lateness.map { ["any": .seconds($0)] } ?? [:],
      // For one of them a payment's deadline comes before its order's.
      actionLife: .seconds(kind == .wechat ? 1 : ModelState.life))
  }

  /// A charge in the books. Only what decides about what can happen.
  struct Charge {
    enum Status: CaseIterable { case open, declined, closed, captured, refused }
    var status = Status.open
    /// The bank is at work on it, and the buyer has nothing to do.
    var isSilent = false
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
      if status == .refused { return [] }
      return [.open] + (closedAt != nil ? [.closed] : []) + (status == .captured || status == .declined ? [status] : [])
    }
  }

  enum Answer {
    case payment(PaymentEvidence.Verdict)
    case refund(RefundEvidence.Verdict)
  }

  /// What a create can lead to that nobody determines.
  enum Creation: CaseIterable { case open, silent, captured, declined, refused }

  var creations: [Creation] { sheet.createMovesMoney ? Creation.allCases : [.open, .refused] }

  /// What is told of a charge, by itself or to whoever asks, when it has this status.
  func verdict(_ status: Charge.Status, of charge: Charge) -> PaymentEvidence.Verdict {
    switch status {
    case .open where charge.isDeclined: .declined(Failure(code: "card", message: ""), .qrCode(content: "pay here"))
    case .open: .pending(charge.isSilent ? nil : .qrCode(content: "pay here"))
    case .declined: .failed(Failure(code: "declined", message: ""))
    case .closed: .closed
    case .captured: .succeeded(ModelState.price)
    case .refused: .notFound
    }
  }

  /// What is told of a charge to whoever asks.
  func found(_ charge: Charge?) -> PaymentEvidence.Verdict {
    guard let charge else { return .notFound }
    if kind == .alipay, !charge.isBegun, charge.status == .open || charge.status == .closed { return .notFound }
    return verdict(charge.status, of: charge)
  }

  /// - Parameter isOver: whether the moment until which the charge may be paid has passed.
  func create(
    _ charge: inout Charge?, _ creation: Creation, isOver: Bool, _ now: Int64
  ) -> PaymentEvidence.Verdict {
    let refusal = PaymentEvidence.Verdict.rejected(Failure(code: sheet.finalRejections[0], message: ""))
    if let known = charge {
      if known.status == .refused { return refusal }
      if kind == .wechat, known.status != .open { return .rejected(Failure(code: "trade_over", message: "")) }
      return verdict(known.status, of: known)
    }
    if kind == .wechat, isOver { return .rejected(Failure(code: "trade_over", message: "")) }
    var new = Charge()
    switch creation {
    case .refused: new.status = .refused
    case _ where isOver:
      new.status = .closed
      new.closedAt = now
    case .captured:
      new.status = .captured
      new.capturedAt = now
    case .declined: new.status = .declined
    case .silent: new.isSilent = true
    case .open: break
    }
    charge = new
    return new.status == .refused ? refusal : verdict(new.status, of: new)
  }

  func close(_ charge: inout Charge?, _ now: Int64) -> PaymentEvidence.Verdict {
    guard var known = charge, known.status != .refused else {
      switch kind {
      case .sandbox:
        var burnt = Charge(closedAt: now)
        burnt.status = .closed
        burnt.isReal = false
        charge = burnt
        return .closed
      case .stripe, .alipay, .wechat: return .closedSoftly
      }
    }
    guard known.status == .open else { return verdict(known.status, of: known) }
    if kind == .alipay, !known.isBegun { return .closedSoftly }
    known.status = .closed
    known.closedAt = now
    charge = known
    return .closed
  }

  /// Whether an open charge can take money without anybody showing it to a buyer first.
  func canBePaid(_ charge: Charge) -> Bool {
    charge.status == .open && (sheet.createMovesMoney || charge.isShown)
  }

  func canBeLate(_ charge: Charge, _ now: Int64) -> Bool {
    guard isEverLate, charge.isReal, charge.status == .closed, let closedAt = charge.closedAt else { return false }
    return now <= closedAt + lateness
  }
}
