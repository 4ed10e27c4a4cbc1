import Hummingbird
import PaymentCore
import Site

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
