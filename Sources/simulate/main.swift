import Glibc
import Simulation

// `payonce simulate` for the inner manifest: optimised in seconds, so that the tests can run many worlds.
//   simulate FIRST LAST [WIDTH]    seeded worlds
//   simulate model FAULTS          the small model, every way with at most so many faults

let arguments = CommandLine.arguments.dropFirst()
if arguments.count == 2, arguments.first == "model", let faults = Int(arguments.last!) {
  let allHold = await SmallModel.checkAll(faults: faults, width: 2) { report in
    print(report.text)
    fflush(nil)
  }
  exit(allHold ? 0 : 1)
}

let numbers = arguments.compactMap { UInt64($0) }
guard numbers.count >= 2, numbers[0] <= numbers[1] else {
  print("usage: simulate FIRST LAST [WIDTH]\n       simulate model FAULTS")
  exit(2)
}
let start = ContinuousClock.now
let campaign = await Campaign.run(
  seeds: numbers[0]...numbers[1], width: numbers.count > 2 ? Int(numbers[2]) : 1)
let spent = (ContinuousClock.now - start).components
print(campaign.summary(milliseconds: spent.seconds * 1000 + spent.attoseconds / 1_000_000_000_000_000))
if let failure = campaign.failure {
  print("\n" + failure.report)
  exit(1)
}
