import PaymentCore

/// What happened to each order, kept when somebody is going to read it. An order that the store has forgotten and its shop
/// registered again has another id and one story.
struct Stories {
  private let isTold: Bool
  private var lines: [OrderNumber: [String]] = [:]
  private var numbers: [OrderID: OrderNumber] = [:]

  init(isTold: Bool) { self.isTold = isTold }

  func story(of order: OrderID) -> [String] { numbers[order].flatMap { lines[$0] } ?? [] }

  mutating func begin(_ order: Order) { if isTold { numbers[order.id] = order.number } }

  mutating func add(_ order: OrderID?, at now: Int64, _ text: () -> String) {
    guard isTold, let number = order.flatMap({ numbers[$0] }) else { return }
    add(number, at: now, text)
  }

  mutating func add(_ number: OrderNumber, at now: Int64, _ text: () -> String) {
    guard isTold else { return }
    let milliseconds = now - 1_795_000_000_000
    let seconds = "\(milliseconds / 1000).\(String(1000 + milliseconds % 1000).dropFirst())"
    lines[number, default: []].append(
      "\(String(repeating: " ", count: max(0, 12 - seconds.count)))\(seconds) s  \(text())")
  }

  mutating func addToAll(at now: Int64, _ text: String) { for number in lines.keys { add(number, at: now) { text } } }
}
