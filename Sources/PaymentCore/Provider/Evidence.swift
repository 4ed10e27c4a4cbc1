/// Evidence about either.
package enum Evidence: Hashable, Sendable {
  case payment(PaymentEvidence)
  case refund(RefundEvidence)
}
