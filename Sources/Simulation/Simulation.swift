/// Runs worlds and says what came of them.
package struct Simulation {
  /// What came of one world.
  package struct Result: Sendable {
    package let seed: UInt64
    package let tally: Tally
    /// The invariant that broke, in words; `nil` when all held.
    package let violation: String?
    /// What happened to the order at fault, a line for each thing, oldest first.
    package let story: [String]
  }

  /// Runs the world of a seed. The same seed gives the same result in every process; when an invariant breaks, the world
  /// is run once more for its story.
  package static func run(seed: UInt64) -> Result {
    let world = World(seed: seed, isTold: false)
    world.run()
    guard let violation = world.auditor.violation else {
      return Result(seed: seed, tally: world.tally, violation: nil, story: [])
    }
    let again = World(seed: seed, isTold: true)
    again.run()
    let isSame = again.auditor.violation?.description == violation.description
    let order = again.auditor.violation?.order
    return Result(
      seed: seed, tally: world.tally, violation: violation.description,
      story: (isSame ? [] : ["NOT REPEATED: the second run of this seed went another way"])
        + (order.map { again.auditor.stories.story(of: $0) } ?? []))
  }
}
