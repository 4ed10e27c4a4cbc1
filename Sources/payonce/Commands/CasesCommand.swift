import ArgumentParser
import Contract
import Foundation
import Logging
import OrderRows
import PaymentCore
import PaymentEngine

struct CasesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cases", abstract: "List, show and resolve what a machine must not decide alone.",
    subcommands: [List.self, Show.self, Resolve.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the open cases of all merchants, the oldest first.",
      discussion: """
        A line for each, with tabs between: since when, its id, why, how much, the provider, the merchant, the shop's own \
        number, the choices, and what was said or seen. At most 1,000. The exit code is 1 when there are some.
        """)
    @Flag(help: "One JSON object, {\"data\": […]}, for programs.")
    var json = false
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        let opened = try store.location().openExisting()
        let open = try await opened.reading.waiting(limit: Waiting.listed).filter { $0.item != nil }
        if json {
          var views: [CaseView] = []
          for waiting in open {
            let order = waiting.reference == nil ? nil : try await opened.reading.order(waiting.order)
            views.append(CaseView(waiting.item!, order: order, merchant: waiting.merchant))
          }
          let list = CasesCommand.rendering.list(views, next: nil) { $0.write(into: &$1) }
          announce(String(decoding: list, as: UTF8.self))
        } else {
          for waiting in open { announce(Self.line(waiting, waiting.item!)) }
        }
        if !open.isEmpty { throw ExitCode(1) }
      }
    }

    private static func line(_ waiting: Waiting, _ item: Case) -> String {
      let columns = [
        item.openedAt.rfc3339, item.id.text, item.reason.rawValue, item.amount.text, item.provider.text,
        waiting.merchant ?? "-", waiting.reference ?? "-", item.choices.map(\.rawValue).joined(separator: " "),
        item.note,
      ]
      return columns.line
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a case, open or resolved, as JSON: why, what to do, and what each choice does.")
    @Argument(help: "The case, by its id.")
    var id: String
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting { try await CasesCommand.show(id, store.location().openExisting()) }
    }
  }

  struct Resolve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Say what becomes of a case.",
      discussion: """
        `cases show` says which choices a case has, and what they do. The same choice once more changes nothing. The servers of \
        this store do what follows from it, within a second or two; without one it waits.
        """)
    @Argument(help: "The case, by its id.")
    var id: String
    @Argument(help: "retry, new_refund, settled_outside or acknowledge.")
    var choice: String
    @Option(help: "Why, for whoever reads the case later; at most 500 characters.")
    var note: String?
    @Option(help: "Who decides. (default: the name of whoever is logged in)")
    var `operator`: String?
    @OptionGroup var store: StoreOption

    func run() async throws {
      try await reporting {
        let id = try CasesCommand.caseID(self.id)
        guard let choice = Case.Choice(exactly: choice) else {
          let names = Case.Choice.allCases.map(\.rawValue).joined(separator: ", ")
          throw SetupError(
            "There is no such choice. There are: \(names). `payonce cases show` says which this case has.")
        }
        guard note.map({ $0.unicodeScalars.count <= ResolveCase.longestNote }) ?? true else {
          throw SetupError("A note has at most \(ResolveCase.longestNote) characters.")
        }
        let name = self.operator ?? NSUserName()
        try MerchantsCommand.check(name: name)
        let opened = try store.location().openExisting()
        let outcome = try await CasesCommand.decide(.resolve(id, choice, note: note), by: .operator(name), opened)
        if case .failure(let refusal) = outcome { throw SetupError(refusal.detail) }
        try await CasesCommand.show(self.id, opened)
      }
    }
  }

  /// Nothing in a case is an address.
  private static let rendering = Rendering(publicURL: "")

  private static func caseID(_ text: String) throws -> CaseID {
    guard let id = CaseID(text: text) else {
      throw SetupError(
        "This is no case's id: \(String(text.prefix(64)).harmless(" ")). `payonce cases list` shows those that are open."
      )
    }
    return id
  }

  private static func show(_ text: String, _ opened: OpenedStore) async throws {
    let id = try caseID(text)
    guard let (item, order) = try await opened.reading.find(id) else {
      throw SetupError("There is no such case in this store: \(text)")
    }
    var merchant: String?
    if let order { merchant = try await opened.directory.merchant(order.registration.merchant)?.name }
    let view = CaseView(item, order: order, merchant: merchant)
    announce(String(decoding: rendering.document(view.write), as: UTF8.self))
  }

  /// Decides as a server does, and leaves the calls that follow to the servers.
  private static func decide(_ command: Command, by caller: Caller, _ opened: OpenedStore) async throws -> Outcome {
    let logger = Logger(label: "cases") { _ in SwiftLogNoOpLogHandler() }
    let engine = Engine(
      stores: opened.writing, accounts: [], numbering: .sha256, clock: SystemClock(), logger: logger)
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        await engine.runWithoutCalls(on: engine.journal.lanes.map { _ in LaneThread(name: "lane") })
      }
      defer { group.cancelAll() }
      return try await engine.journal.submit(command, by: caller)
    }
  }
}
