/// The keys under which a second payment was asked for and refused.
package struct PreventedDuplicates: Hashable, Sendable {
  /// How many different keys were refused.
  package private(set) var count: Int = 0
  /// Fixed hashes of the refused keys, by which a repeat is told from another try. Beyond `remembered` keys every
  /// refusal counts.
  package private(set) var hashes: [UInt64] = []

  /// How many of an order's prevented duplicates are written to its trail.
  package static let recorded = 100
  package static let remembered = 1000

  package init() {}

  /// Notes that `key` was refused.
  /// - Returns: whether it is a new one that belongs into the trail.
  mutating func note(_ key: IdempotencyKey) -> Bool {
    var hash = FNV1a()
    hash.add(key.text.utf8)
    guard !hashes.contains(hash.value) else { return false }
    count += 1
    if hashes.count < Self.remembered { hashes.append(hash.value) }
    return count <= Self.recorded
  }

  /// What a store kept.
  package init(count: Int, hashes: [UInt64]) {
    self.count = count
    self.hashes = hashes
  }
}
