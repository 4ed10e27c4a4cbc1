import ArgumentParser
import AsyncHTTPClient
import Contract
import Foundation
import OrderRows
import PaymentCore
import PaymentEngine
import Providers

struct FindForgottenCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "find-forgotten",
    abstract: "After a restore: ask the providers for payments and refunds that the store has forgotten.",
    discussion: """
      Asks about every order that could be paid at some time from --since to --until. Choose --since a little before the \
      moment to which the store was restored. What is found is taken in, and the servers settle it: money makes its order \
      paid or goes back, what is still open at the provider is closed. Refunds are found at payments that the store knows \
      to have succeeded. It only asks, sends nothing that moves money, and may be repeated: once more after the shops have \
      registered again what the store forgot. On PostgreSQL it runs beside the servers, on SQLite before the server is \
      started. Exits 1 when a provider gave no answer about an order.
      """)

  @Option(help: "From when, such as 2026-11-25T10:00:00Z.")
  var since: String
  @Option(help: "Until when. (default: now)")
  var until: String?
  @Option(help: "Ask about the refunds of all payments since then, too. (default: as --since)")
  var paidSince: String?
  @OptionGroup var store: StoreOption
  @Option(help: "The sandbox bank that the server uses, such as http://127.0.0.1:8090.")
  var bank: String?
  @Option(help: "The address at which buyers reach the server. (default: http://127.0.0.1:8080)")
  var publicURL: String?
  @OptionGroup var log: LogOption

  func run() async throws {
    try await reporting { try await Wire.withClient(connections: 32, work: find) }
  }

  private func find(_ client: HTTPClient) async throws {
    let clock = SystemClock()
    let start = try Self.instant(since, "--since")
    // The clocks of nodes differ.
    let end = try until.map { try Self.instant($0, "--until") } ?? clock.now().advanced(by: Schedule().leaseMargin)
    let paidSince = try self.paidSince.map { try Self.instant($0, "--paid-since") }
    guard start <= end else { throw SetupError("--since must not be after --until.") }
    guard let bankURL = Setting.value(bank, .bank) else {
      throw SetupError("Name the bank that the server uses with --bank, such as --bank http://127.0.0.1:8090")
    }
    let bankAddress = try ServeCommand.webAddress(bankURL, Setting.source(bank, .bank))
    let limits = try ServeCommand.limits(callTimeout: nil)
    let provider = SandboxProvider(
      wire: Wire(client: client, timeout: limits.schedule.callTimeout), bankURL: bankAddress.text,
      publicURL: try ServeCommand.webAddress(
        Setting.value(publicURL, .publicURL) ?? "http://127.0.0.1:8080", Setting.source(publicURL, .publicURL)
      ).text,
      // No notices arrive here, so any secret will do.
      verifier: try BankSecret.ofOneProcess(isPrivate: true).verifier)
    let location = try store.location()
    try location.requireExisting()
    try location.holdAlone()
    let opened = try location.open()
    let engine = Engine(
      stores: opened.writing, accounts: [ProviderAccount(provider)], numbering: .sha256, limits: limits, clock: clock,
      logger: try log.logger("find-forgotten"))
    let forgotten = ForgottenPayments(
      reading: opened.reading, journal: engine.journal, providers: [provider], numbering: .sha256,
      clock: clock)

    let report = try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        await engine.runWithoutCalls(on: engine.journal.lanes.map { _ in LaneThread(name: "lane") })
      }
      let report = try await forgotten.find(from: start, to: end, paidSince: paidSince) { finding in
        switch finding {
        case .payment(let id, let number, let provider, let verdict):
          announce("found       \(id.text), \(number.text) at \(provider.text): \(verdict.inWords)")
        case .refund(let refund, let provider):
          let number = refund.number.map { ", \($0.text)" } ?? ""
          announce("found       \(refund.id.text)\(number) at \(provider.text): returned \(refund.amount.text)")
        case .unanswered(let payment, let provider):
          announce("no answer   \(payment.text) from \(provider.text)")
        case .unreadable(let order):
          announce(
            "unreadable  \(order.id): ask the provider by hand, or run this again with the release that wrote it")
        }
      }
      group.cancelAll()
      return report
    }
    announce(
      "asked about \(report.orders) orders; forgotten payments and refunds: \(report.found), without an answer: \(report.unanswered)"
        + (report.unreadable == 0 ? "" : ", orders that cannot be read: \(report.unreadable)"))
    guard report.isComplete, report.unanswered == 0, report.unreadable == 0 else {
      announce(
        !report.isComplete
          ? "given up: the provider does not answer. Run it again once it does"
          : report.unanswered == 0 ? "not all could be asked about" : "run it again once the provider answers")
      throw ExitCode(1)
    }
  }

  private static func instant(_ text: String, _ option: String) throws -> Instant {
    guard let date = try? Date(text, strategy: .iso8601) else {
      throw SetupError("\(option) must be a time such as 2026-11-25T10:00:00Z. It is: \(text)")
    }
    return Instant(milliseconds: Int64(date.timeIntervalSince1970 * 1000))
  }
}

extension PaymentEvidence.Verdict {
  fileprivate var inWords: String {
    switch self {
    case .succeeded(let money): "took \(money.text)"
    case .failed(let failure): "failed (\(failure.code))"
    case .closed, .closedSoftly: "closed"
    case .pending, .declined: "open, to be closed"
    case .notFound, .rejected, .notSent, .notNow, .unknown: "nothing"
    }
  }
}
