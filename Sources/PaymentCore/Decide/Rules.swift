/// What `decide` goes by, beside the order and the command.
package struct Rules: Sendable {
  package var schedule: Schedule
  /// Every account of this installation, in the order in which a buyer is offered them.
  package var accounts: [Account]
  package let numbering: Numbering

  package init(schedule: Schedule = Schedule(), accounts: [Account], numbering: Numbering) {
    self.schedule = schedule
    self.accounts = accounts
    self.numbering = numbering
  }

  /// The account at a provider; `nil` for one that is no longer known.
  package func account(_ provider: ProviderName) -> Account? { accounts.first { $0.provider == provider } }

  /// The accounts that take new payments for this merchant.
  package func accounts(for merchant: MerchantID) -> [Account] { accounts.filter { $0.takesPayments(for: merchant) } }

  /// The sheet of a provider; for one that is no longer known, the most careful one.
  func sheet(_ provider: ProviderName) -> CapabilitySheet {
    account(provider)?.sheet
      ?? CapabilitySheet(methods: [], repeatWindow: .zero, createMovesMoney: true, burning: .none)
  }
}
