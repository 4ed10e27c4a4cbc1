import Hummingbird
import PaymentCore
import Site

/// The way back from a provider. Its address names the payment by its trade number, since a provider should not see the buyer's secret. A
/// cookie leads the browser that left for the provider on to its checkout page.
enum WayBack {
  private static let cookie = "payonce_back"

  static func path(_ payment: PaymentNumber) -> String { "/return/\(payment.text)" }

  /// Sets the cookie, if the payment sends the buyer to a provider's page.
  static func remember(
    _ payment: PaymentView, _ token: CheckoutToken, isSecure: Bool, in response: inout Response
  ) {
    guard case .redirect? = payment.nextAction else { return }
    response.setCookie(
      Cookie(
        name: cookie, value: token.text, maxAge: life, path: path(payment.number), secure: isSecure, httpOnly: true,
        sameSite: .lax))
  }

  private static let life = 30 * 86_400

  static func token(_ request: Request) -> CheckoutToken? {
    request.cookie(cookie).flatMap { CheckoutToken(text: String(decoding: $0, as: UTF8.self)) }
  }
}
