/// What was tried in a world, or in many.
package struct Tally: Sendable {
  package var orders = 0
  package var paidOrders = 0
  package var payments = 0
  package var events = 0
  package var duplicatesPrevented = 0
  package var waits = 0
  package var captures = 0
  package var lostRequests = 0
  package var lostAnswers = 0
  package var doubledRequests = 0
  package var refusedConnections = 0
  package var lostNotices = 0
  package var lateSuccesses = 0
  package var surplusReturned = 0
  package var refundsTakenBack = 0
  package var returnedByProviders = 0
  package var crashes = 0
  package var freezes = 0
  package var wrongClocks = 0
  package var storeFaults = 0
  package var forgottenStores = 0
  package var found = 0
  package var virtualMilliseconds: Int64 = 0
  package var steps = 0

  package init() {}

  package mutating func add(_ other: Tally) {
    orders += other.orders
    paidOrders += other.paidOrders
    payments += other.payments
    events += other.events
    duplicatesPrevented += other.duplicatesPrevented
    waits += other.waits
    captures += other.captures
    lostRequests += other.lostRequests
    lostAnswers += other.lostAnswers
    doubledRequests += other.doubledRequests
    refusedConnections += other.refusedConnections
    lostNotices += other.lostNotices
    lateSuccesses += other.lateSuccesses
    surplusReturned += other.surplusReturned
    refundsTakenBack += other.refundsTakenBack
    returnedByProviders += other.returnedByProviders
    crashes += other.crashes
    freezes += other.freezes
    wrongClocks += other.wrongClocks
    storeFaults += other.storeFaults
    forgottenStores += other.forgottenStores
    found += other.found
    virtualMilliseconds += other.virtualMilliseconds
    steps += other.steps
  }
}
