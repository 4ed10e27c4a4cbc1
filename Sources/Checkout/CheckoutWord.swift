import Hummingbird
import PaymentCore
import Site

/// A word that a page without scripts shows once, about what was just pressed. It is a cookie: an address would keep it
/// after a reload, and be passed on with it.
enum CheckoutWord: String, CaseIterable {
  /// The way to pay is not available.
  case refused
  /// Money came in for a payment that this database had forgotten.
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

  /// Stores the word for the next page of this checkout, for at most a minute.
  func say(_ token: CheckoutToken, in response: inout Response) { Self.set(rawValue, 60, token, &response) }

  /// Deletes the word once it was shown.
  static func forget(_ token: CheckoutToken, in response: inout Response) { set("", 0, token, &response) }

  private static func set(_ value: String, _ life: Int, _ token: CheckoutToken, _ response: inout Response) {
    response.setCookie(
      Cookie(
        name: cookie, value: value, maxAge: life, path: "/checkout/\(token.text)", httpOnly: true, sameSite: .lax))
  }
}
