import PaymentCore

/// A product of the demo shop. Its price is in minor units.
struct DemoProduct: Sendable {
  let id: String
  let name: (english: String, chinese: String)
  let note: (english: String, chinese: String)
  let price: Int64

  static let currency = Currency(code: "CNY")!

  var amount: Money { Money(price, Self.currency) }

  static let all = [
    DemoProduct(
      id: "tea", name: ("Jasmine tea, 100 g", "茉莉花茶 100 克"), note: ("Picked in spring, scented seven times", "春采，七窨"),
      price: 3800),
    DemoProduct(
      id: "cup", name: ("Porcelain cup", "瓷杯"), note: ("Thin as paper, from Jingdezhen", "景德镇薄胎"), price: 5900),
    DemoProduct(
      id: "pot", name: ("Clay teapot", "紫砂壶"), note: ("For two, from Yixing clay", "宜兴紫砂，两人用"), price: 26_800),
  ]

  /// The id of the ordered product, found by its price. Tea when none has it.
  static func ordered(_ order: Order) -> String {
    all.first { order.registration.amount.amount == $0.price }?.id ?? "tea"
  }
}
