import ArgumentParser
import Foundation
import PaymentCore
import PaymentEngine

/// Measures this machine layer by layer, in one run, so that the ratios can be relied on.
struct BenchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure payments per second on this machine, layer by layer.",
    discussion: """
      Every payment is durable: two transactions, each synced to the disk before it is answered. Its order is
      registered beforehand, and its provider answers at once. Load generator and server share this machine.

        raw       the same rows in the same transactions, by bare prepared statements
        engine    journal and dispatcher, without HTTP
        http      a server in a process of its own, over 1, 32 and 128 connections
        no-op     the same server's GET /healthz

      See docs/reference/benchmarks.md for figures and what limits them. Build with -c release, or they mean nothing.
      """,
    subcommands: [BenchServerCommand.self])

  @Option(help: "Payments per measurement.")
  var payments = 20_000
  @Option(help: "How often everything is measured; the middle one counts.")
  var rounds = 3
  @Option(help: "Go on paying until there are this many orders, and say whether it became slower; 0 for not at all.")
  var orders = 0
  @Option(help: "Measure on this PostgreSQL database instead, beside its own pgbench. It is filled with orders.")
  var postgres: String?
  @Option(help: "On PostgreSQL: how many transactions each node has under way at once.")
  var lanes = 2
  @Option(help: "The folder for the stores. It is on the disk that is measured. (default: a new one in the system's)")
  var folder: String?

  func run() async throws {
    try await reporting {
      guard payments >= 1000, rounds >= 1 else { throw SetupError("--payments is at least 1000, --rounds at least 1.") }
      let base = folder ?? FileManager.default.temporaryDirectory.path
      let own = (base as NSString).appendingPathComponent("payonce-bench-\(ProcessInfo.processInfo.processIdentifier)")
      try makeFolder(of: own + "/x")
      defer { try? FileManager.default.removeItem(atPath: own) }
      if let postgres { return try await onPostgres(postgres, own) }
      try await layers(own)
      if orders > 0 { try await growth(own) }
    }
  }

  // MARK: Layers

  private func layers(_ folder: String) async throws {
    var results: [String: [Rate]] = [:]
    var names: [String] = []
    func note(_ name: String, _ rate: Rate) {
      if results[name] == nil { names.append(name) }
      results[name, default: []].append(rate)
      announce("  \(name.padding(toLength: 24, withPad: " ", startingAt: 0)) \(rate)")
    }
    for round in 1...rounds {
      announce("round \(round) of \(rounds)")
      for callers in [1, 128] {
        let count = callers == 1 ? payments / 10 : payments
        let store = try BenchStore(folder: folder, name: "raw-\(round)-\(callers)")
        note("raw, \(callers) callers", try await RawCeiling(store).measure(payments: count, batch: callers))
        store.remove()
      }
      for callers in [1, 32, 128] {
        let count = callers == 1 ? payments / 10 : payments
        let store = try BenchStore(folder: folder, name: "engine-\(round)-\(callers)")
        note("engine, \(callers) callers", try await EngineBench(store).measure(payments: count, callers: callers))
        store.remove()
      }
      let store = try BenchStore(folder: folder, name: "http-\(round)")
      let server = try await BenchServer.start(store, folder: folder)
      for connections in [1, 32, 128] {
        let orders = try await store.register(connections == 1 ? payments / 10 : payments)
        let load = LoadGenerator(port: server.port, connections: connections)
        let rate = try await server.measure(load, orders.map(server.paying), expecting: 201)
        note("http, \(connections) connections", rate)
        guard connections == 128 else { continue }
        let paced = try await store.register(payments / 2)
        note(
          "http, at half that load",
          try await server.measure(
            load, paced.map(server.paying), expecting: 201, perSecond: rate.perSecond / 2))
      }
      let load = LoadGenerator(port: server.port, connections: 128)
      note(
        "no-op, 128 connections",
        try await server.measure(load, Array(repeating: server.health, count: payments * 3), expecting: 200))
      server.stop()
      store.remove()
    }
    announce("the middle of \(rounds) rounds")
    func middle(_ name: String) -> Rate {
      let sorted = results[name, default: []].sorted { $0.perSecond < $1.perSecond }
      return sorted[sorted.count / 2]
    }
    for name in names { announce("  \(name.padding(toLength: 24, withPad: " ", startingAt: 0)) \(middle(name))") }
    // The machine varies less within a round than over all of them.
    func ratio(_ name: String, _ upper: String, _ lower: String) {
      let ratios = zip(results[upper, default: []], results[lower, default: []]).map { $0.perSecond / $1.perSecond }
      let ratio = ratios.sorted()[ratios.count / 2]
      announce(
        "  \(name.padding(toLength: 24, withPad: " ", startingAt: 0)) \(String(format: "%6.1f %%", ratio * 100))")
    }
    ratio("engine of raw", "engine, 128 callers", "raw, 128 callers")
    ratio("http of raw", "http, 128 connections", "raw, 128 callers")
    ratio("http of no-op", "http, 128 connections", "no-op, 128 connections")
  }

  // MARK: PostgreSQL

  /// Measures on PostgreSQL, and pgbench on the same server.
  private func onPostgres(_ url: String, _ folder: String) async throws {
    let store = try BenchStore(url, lanes: lanes)
    let pgbench = PgBench(url: url, folder: folder)
    var first = Int(Date().timeIntervalSince1970) * 1_000_000
    func note(_ name: String, _ rate: Rate) {
      announce("  \(name.padding(toLength: 44, withPad: " ", startingAt: 0)) \(rate)")
    }
    for round in 1...rounds {
      announce("round \(round) of \(rounds)")
      for clients in [32, 128] {
        for style in PgBench.Style.allCases {
          note(
            "pgbench, \(style.rawValue), \(clients) clients",
            try pgbench.measure(style, payments: payments, clients: clients, first: first))
          first += payments
        }
        note(
          "engine, \(clients) callers",
          try await EngineBench(store).measure(payments: payments, callers: clients, log: pgbench.log))
      }
      for nodes in [1, 2] {
        var servers: [BenchServer] = []
        for number in 1...nodes {
          servers.append(try await BenchServer.start(store, folder: folder, name: "node\(number)", lanes: lanes))
        }
        let orders = try await store.register(payments)
        let rates = try await withThrowingTaskGroup(of: Rate.self) { group in
          for (index, server) in servers.enumerated() {
            let mine = stride(from: index, to: orders.count, by: nodes).map { server.paying(orders[$0]) }
            group.addTask {
              try await LoadGenerator(port: server.port, connections: 128 / nodes).run(mine, expecting: 201)
            }
          }
          return try await group.reduce(into: [Rate]()) { $0.append($1) }
        }
        for rate in rates { note("http, \(nodes) nodes, \(128 / nodes) connections each", rate) }
        for server in servers { server.stop() }
      }
    }
  }

  // MARK: Growth

  private func growth(_ folder: String) async throws {
    let store = try BenchStore(folder: folder, name: "growth")
    let server = try await BenchServer.start(store, folder: folder)
    let load = LoadGenerator(port: server.port, connections: 128)
    announce("growth to \(orders) orders, over 128 connections")
    var paid = 0
    while paid < orders {
      let batch = min(10_000, orders - paid)
      let waiting = try await store.register(batch)
      let rate = try await load.run(waiting.map(server.paying), expecting: 201)
      paid += batch
      let size = (try? FileManager.default.attributesOfItem(atPath: store.path)[.size] as? Int) ?? nil
      announce(
        "  \(String(format: "%8d", paid)) orders: \(rate), server \(server.residentMegabytes) MB, "
          + "file \((size ?? 0) / 1_048_576) MB")
      guard paid % 100_000 == 0 || paid == orders else { continue }
      // The machine's own speed at this moment, with a new file, shows whether the server has become slower or the
      // machine.
      let fresh = try BenchStore(folder: folder, name: "fresh-\(paid)")
      let ceiling = try await RawCeiling(fresh).measure(payments: 10_000, batch: 128)
      fresh.remove()
      let share = String(format: "%.0f %%", rate.perSecond / ceiling.perSecond * 100)
      announce("           raw on a new file \(ceiling), so this was \(share) of raw")
    }
    server.stop()
    store.remove()
  }
}

/// The result of one measurement.
struct Rate: CustomStringConvertible {
  let perSecond: Double
  /// Percentiles, in milliseconds, of the time from when a request was to be sent to its answer; `nil` when nobody
  /// waits.
  let p50: Double?
  let p99: Double?
  /// How many commits it took; `nil` when they were not counted.
  let commits: Int?
  /// What each payment cost the machine, in words.
  private var cost: String?

  init(count: Int, in duration: Duration, latencies: [Int64] = [], commits: Int? = nil) {
    self.commits = commits
    let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    perSecond = Double(count) / seconds
    let sorted = latencies.sorted()
    func percentile(_ share: Double) -> Double? {
      sorted.isEmpty ? nil : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1e6
    }
    p50 = percentile(0.5)
    p99 = percentile(0.99)
  }

  var description: String {
    let rate = String(format: "%8.0f/s", perSecond)
    guard let p50, let p99 else { return rate }
    let latency = String(format: "  p50 %7.2f ms  p99 %7.2f ms", p50, p99)
    return rate + latency + (commits.map { "  \($0) commits" } ?? "") + (cost.map { "  \($0)" } ?? "")
  }

  func costing(_ cost: String) -> Rate {
    var rate = self
    rate.cost = cost
    return rate
  }
}
