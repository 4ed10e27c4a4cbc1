import PaymentEngine

/// The real dice.
struct SystemRandomness: Randomness {
  func next() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}
