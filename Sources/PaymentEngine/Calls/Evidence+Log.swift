package import Logging
import PaymentCore

extension Call {
  /// What the call is about, for the log.
  var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = [
      "order": "\(payment.order.text)", "payment": "\(payment.text)", "provider": "\(provider.text)",
      "call": "\(kind.rawValue)", "number": "\(number)", "trade_number": "\(tradeNumber.text)",
    ]
    if let refund {
      metadata["refund"] = "\(refund.id.text)"
      metadata["refund_number"] = "\(refund.number.text)"
    }
    return metadata
  }
}

extension Case {
  /// What a case is about, for the log.
  func metadata(in order: Order?) -> Logger.Metadata {
    var metadata: Logger.Metadata = [
      "case": "\(id.text)", "reason": "\(reason.rawValue)", "provider": "\(provider.text)", "note": "\(note)",
    ]
    if let number = number(in: order) { metadata["trade_number"] = "\(number.text)" }
    // Of an order that is not stored only the number means anything.
    if let payment, order != nil || reason == .archivedOrder { metadata["payment"] = "\(payment.text)" }
    if let refund { metadata["refund"] = "\(refund.text)" }
    return metadata
  }
}

extension Evidence {
  /// What it is about and what it says, for the log.
  package var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = ["evidence": "\(summary)"]
    switch self {
    case .payment(let evidence):
      switch evidence.payment {
      case .id(let id):
        metadata["order"] = "\(id.order.text)"
        metadata["payment"] = "\(id.text)"
      case .number(let number): metadata["trade_number"] = "\(number.text)"
      }
    case .refund(let evidence):
      switch evidence.refund {
      case .id(let id):
        metadata["order"] = "\(id.order.text)"
        metadata["refund"] = "\(id.text)"
      case .number(let number, let payment):
        metadata["trade_number"] = "\(payment.text)"
        metadata["refund_number"] = "\(number.text)"
      }
    }
    return metadata
  }

  /// The verdict in a word or two, for the log: no amounts, no secrets.
  private var summary: String {
    switch self {
    case .payment(let evidence):
      switch evidence.verdict {
      case .succeeded: "succeeded"
      case .failed(let failure): "failed \(failure.code)"
      case .closed: "closed"
      case .closedSoftly: "closed softly"
      case .pending: "pending"
      case .declined(let failure, _): "declined \(failure.code)"
      case .notFound: "not found"
      case .rejected(let failure): "rejected \(failure.code)"
      case .notSent: "not sent"
      case .notNow(let wait): "not now, in \(wait.components.seconds) s"
      case .unknown(let reason): "unknown: \(reason)"
      }
    case .refund(let evidence):
      switch evidence.verdict {
      case .succeeded: "succeeded"
      case .pending: "pending"
      case .failed(let failure): "failed \(failure.code)"
      case .refused(let failure): "refused \(failure.code)"
      case .notFound: "not found"
      case .notSent: "not sent"
      case .notNow(let wait): "not now, in \(wait.components.seconds) s"
      case .unknown(let reason): "unknown: \(reason)"
      }
    }
  }
}
