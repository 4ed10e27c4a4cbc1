import HTTPTypes
import Hummingbird
import PaymentCore

/// What a page without scripts says once, about what was just pressed. It is a cookie, since what stands in an address is
/// still there after a reload, and is handed on.
enum CheckoutWord: String, CaseIterable {
  /// The way to pay is not to be had.
  case refused
  /// Money came in under a payment that this database had forgotten.
  case held
  /// Somebody else's try came first.
  case elsewhere
  /// Too many tries came from this address.
  case braked

  private static let cookie = "payonce_said"

  init?(_ request: Request) {
    guard let value = request.cookie(Self.cookie),
      let word = Self.allCases.first(where: { $0.rawValue.utf8.elementsEqual(value) })
    else { return nil }
    self = word
  }

  /// For the next page of this checkout.
  func say(_ token: CheckoutToken, in response: inout Response) { Self.set(rawValue, 60, token, &response) }

  /// It was said.
  static func forget(_ token: CheckoutToken, in response: inout Response) { set("", 0, token, &response) }

  private static func set(_ value: String, _ life: Int, _ token: CheckoutToken, _ response: inout Response) {
    response.setCookie(
      Cookie(
        name: cookie, value: value, maxAge: life, path: "/checkout/\(token.text)", httpOnly: true, sameSite: .lax))
  }
}

/// The way back from a provider: it names the payment, since a provider should not see the buyer's secret, and this cookie
/// leads on to the page of the browser that went there.
enum WayBack {
  private static let cookie = "payonce_back"

  static func path(_ payment: PaymentID) -> String { "/return/\(payment.text)" }

  /// Remembers who goes to the provider for this payment.
  static func remember(_ payment: PaymentID, _ token: CheckoutToken, isSecure: Bool, in response: inout Response) {
    response.setCookie(
      Cookie(
        name: cookie, value: token.text, maxAge: life, path: path(payment), secure: isSecure, httpOnly: true,
        sameSite: .lax))
  }

  private static let life = 30 * 86_400

  static func token(_ request: Request) -> CheckoutToken? {
    request.cookie(cookie).flatMap { CheckoutToken(text: String(decoding: $0, as: UTF8.self)) }
  }
}

extension Request {
  /// The value of the first cookie of this name, as bytes.
  func cookie(_ name: String) -> Substring.UTF8View? {
    for cookies in headers[values: .cookie] {
      for pair in cookies.utf8.split(separator: UInt8(ascii: ";")) {
        let pair = pair.drop { $0 == UInt8(ascii: " ") }
        if pair.starts(with: "\(name)=".utf8) { return pair.dropFirst(name.utf8.count + 1) }
      }
    }
    return nil
  }
}

extension Order.Registration {
  /// Where the shop wants its buyers to go on to: once nothing is left to do here, or while the order is not paid.
  /// The shop's own number tells it which order it was about, and proves nothing.
  func shopURL(isOver: Bool) -> String? {
    guard let url = isOver ? returnURL ?? cancelURL : cancelURL ?? returnURL else { return nil }
    let parts = url.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    let address = parts[0]
    let separator = !address.contains("?") ? "?" : address.hasSuffix("?") || address.hasSuffix("&") ? "" : "&"
    let fragment = parts.count > 1 ? "#\(parts[1])" : ""
    return "\(address)\(separator)reference=\(Self.encoded(reference))\(fragment)"
  }

  /// As a value in a query: what RFC 3986 does not call unreserved is escaped.
  private static func encoded(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        bytes.append(byte)
      default: bytes += "%".utf8 + [hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static let hexadecimal = Array("0123456789ABCDEF".utf8)
}
