package import Logging
import PaymentCore

extension Call {
  /// What the call is about, for the log.
  var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = [
      "order": "\(payment.order.text)", "payment": "\(payment.text)", "provider": "\(provider.text)",
      "call": "\(kind.rawValue)", "number": "\(number)",
    ]
    if let refund { metadata["refund"] = "\(refund.id.text)" }
    return metadata
  }
}

extension Evidence {
  /// What it is about and what it says, for the log.
  package var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = ["evidence": "\(summary)"]
    switch self {
    case .payment(let evidence):
      metadata["order"] = "\(evidence.payment.order.text)"
      metadata["payment"] = "\(evidence.payment.text)"
    case .refund(let evidence):
      metadata["order"] = "\(evidence.refund.order.text)"
      metadata["refund"] = "\(evidence.refund.text)"
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
      case .unknown(let reason): "unknown: \(reason)"
      }
    }
  }
}
