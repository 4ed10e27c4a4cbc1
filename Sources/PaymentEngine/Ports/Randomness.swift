/// The dice. Only the `payonce` program and the simulation have some.
package protocol Randomness: Sendable {
  func next() -> UInt64
}
