package import PaymentCore

/// A case with what stands beside it in the store.
package struct CaseView {
  package let item: Case
  /// The order that has it; `nil` where its money came for one that is not stored.
  package let order: Order?
  /// The name of the order's merchant.
  package let merchant: String?

  package init(_ item: Case, order: Order?, merchant: String?) {
    self.item = item
    self.order = order
    self.merchant = merchant
  }

  /// The id of an order that is not stored is made of its number, and means nothing to anybody.
  private var hasIDs: Bool { order != nil || item.reason == .archivedOrder }

  package func write(into writer: inout JSONWriter) {
    writer.string("id", item.id.text)
    writer.string("reason", item.reason.rawValue)
    writer.string("status", item.resolvedAt == nil ? "open" : "resolved")
    writer.string("merchant", merchant)
    writer.string("order", hasIDs ? item.id.order.text : nil)
    writer.string("reference", order?.registration.reference)
    writer.string("payment", hasIDs ? item.payment?.text : nil)
    writer.string("number", item.number(in: order)?.text)
    writer.string("refund", item.refund?.text)
    writer.string("provider", item.provider.text)
    writer.integer("amount", item.amount.amount)
    writer.string("currency", item.amount.currency.code)
    writer.string("note", item.note)
    writer.string("advice", item.advice)
    writer.array("choices") { list in
      for choice in item.resolvedAt == nil ? item.choices : [] {
        list.object {
          $0.string("choice", choice.rawValue)
          $0.string("meaning", choice.meaning)
        }
      }
    }
    writer.instant("opened_at", item.openedAt)
    writer.instant("resolved_at", item.resolvedAt)
    writer.string("choice", item.choice?.rawValue)
    writer.string("resolved_by", item.resolvedBy)
    writer.string("resolved_note", item.resolvedNote)
  }
}
