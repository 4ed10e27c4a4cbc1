import PaymentCore

/// The kinds of provider, each with its sheet as the docs of such providers have it.
enum BankKind: String, CaseIterable {
  /// A create takes the money; a close burns an unknown number; late money for a minute.
  case sandbox
  /// Intents that the buyer confirms with a secret; keys are forgotten after a day; an unknown one cannot be cancelled.
  case stripe
  /// Codes that exist before any trade does: unscanned they are not found and cannot be closed.
  case alipay
  /// Codes whose number is burnt by a close; an open password page may still pay.
  case wechat

  var name: ProviderName { ProviderName(rawValue) }

  var sheet: CapabilitySheet {
    switch self {
    case .sandbox:
      CapabilitySheet(
        methods: ["ok", "declined", "action", "slow", "late"], createMovesMoney: true, burning: .close,
        finalRejections: ["invalid_charge"],
        lateMoney: ["action": .seconds(60), "slow": .seconds(60), "late": .seconds(60)])
    case .stripe:
      CapabilitySheet(
        methods: ["card"], repeatWindow: .seconds(23 * 3600), createMovesMoney: false, burning: .createThenClose,
        finalRejections: ["invalid_charge"])
    case .alipay:
      CapabilitySheet(
        methods: ["qr"], createMovesMoney: false, absence: .notBegun, burning: .none,
        finalRejections: ["invalid_charge"], actionLife: .seconds(2 * 3600))
    case .wechat:
      CapabilitySheet(
        methods: ["native"], createMovesMoney: false, burning: .createThenClose, finalRejections: ["invalid_charge"],
        lateMoney: ["native": .seconds(600)], actionLife: .seconds(2 * 3600))
    }
  }

  /// Whether its answers about a charge name the refunds of it that were asked for.
  var listsRefunds: Bool { self == .sandbox || self == .stripe }

  /// After how long a key is forgotten, in milliseconds; `nil` for never.
  var keyLife: Int64? { self == .stripe ? 24 * 3_600_000 : nil }

  /// For how long after a close money may still come, in milliseconds.
  var lateness: Int { self == .wechat ? 600_000 : 60_000 }
}
