import ArgumentParser
import Foundation
import PaymentCore
import Simulation

struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate", abstract: "Try to make PayOnce charge twice, in seeded worlds.",
    discussion: """
      Each seed is a world of its own: orders, impatient buyers, several nodes that die and freeze, a store that fails
      and forgets, and banks that lose, delay, double and lie. The code that decides about payments is the one that
      `serve` runs. An auditor who trusts only the banks' books looks for a broken invariant.

      Exits 1 when one breaks, with the seed and the story of the order. See docs/internals/simulation.md.
      """)

  @Option(help: "How many worlds.")
  var seeds: UInt64 = 1000
  @Option(help: "The first seed.")
  var first: UInt64 = 1
  @Option(help: "Run the world of this seed alone, and tell the story of the order at fault.")
  var seed: UInt64?
  @Option(help: "How many worlds run at the same time. (default: one per core)")
  var width: Int?
  @Option(
    help: """
      Instead of worlds: every way that one order with two payments can go with at most so many faults. 0 takes a \
      minute; each more takes many times as long, and as much memory.
      """)
  var smallModel: Int?

  func run() async throws {
    try await reporting {
      guard seeds >= 1, first <= UInt64.max - seeds, width.map({ $0 >= 1 }) ?? true else {
        throw SetupError("--seeds and --width are at least 1.")
      }
      if let smallModel { return try await checkSmallModel(faults: smallModel) }
      let range = seed.map { $0...$0 } ?? first...(first + seeds - 1)
      let start = ContinuousClock.now
      var told = start
      let campaign = await Campaign.run(
        seeds: range, width: width ?? ProcessInfo.processInfo.activeProcessorCount
      ) { campaign in
        // The last world is not reported here. Else two runs of one seed would print different lines when one is
        // slower.
        guard campaign.worlds < range.count, ContinuousClock.now - told > .seconds(10) else { return }
        told = .now
        announce("\(campaign.worlds) of \(range.count) worlds, \(campaign.tally.orders) orders")
      }
      announce(campaign.summary(milliseconds: (ContinuousClock.now - start).wholeMilliseconds))
      if let failure = campaign.failure {
        announce("\n" + failure.report)
        throw ExitCode(1)
      }
      announce("no invariant broke")
    }
  }

  private func checkSmallModel(faults: Int) async throws {
    guard faults >= 0 else { throw SetupError("--small-model is 0 or more.") }
    let width = width ?? ProcessInfo.processInfo.activeProcessorCount
    guard await SmallModel.checkAll(faults: faults, width: width, finished: { announce($0.text) }) else {
      throw ExitCode(1)
    }
    announce("no invariant broke")
  }
}
