import Contract
import PaymentCore
import Site

/// The data that the panel shows of an order: its first 200 events and the bank's books, in words.
struct DemoLive: Encodable {
  struct Moment: Encodable {
    let at: String
    let text: String
  }
  struct Entry: Encodable {
    let text: String
    let amount: String
  }
  let version: Int
  let status: String
  /// `nil` when the bank does not answer, like `kept`, `books` and `charges`.
  let network: String?
  let kept: String?
  let books: [Entry]?
  /// How many charges succeeded.
  let charges: Int?
  let prevented: String
  let events: [Moment]

  init(_ order: Order, _ events: [Event], of shop: DemoShop, _ language: Language) async {
    async let network = shop.network()
    let books = await shop.books(order.payments.map { order.number(of: $0.id) })
    version = order.version
    status = DemoWords.status(order, language)
    kept = books.map { DemoWords.kept($0, DemoProduct.currency, language) }
    self.books = books.map { DemoWords.entries($0, language).map { Entry(text: $0.text, amount: $0.amount) } }
    charges = books.map { $0.charges.count { $0.status == "succeeded" } }
    prevented = DemoWords.prevented(order.duplicates.count, language)
    self.events = events.map { Moment(at: $0.at.rfc3339, text: DemoWords.event($0, language)) }
    self.network = await network
  }
}
