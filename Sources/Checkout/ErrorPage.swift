import Contract
import HTTPTypes
import Hummingbird
import PaymentCore
import Site

/// The page for errors. Its reader may just have paid, so it says in words what that means.
enum ErrorPage {
  /// Does the work, and answers with a page when it fails: a refusal becomes *there is no such order* or, where the address
  /// may once have been right, *not known*; every other error becomes *look again*.
  /// - Parameter again: where to look again. `nil` for the checkout page.
  /// - Throws: only that the connection is gone.
  static func guarding(
    _ request: Request, _ context: WebContext, again: String? = nil, _ work: () async throws -> Response
  ) async throws -> Response {
    do { return try await work() } catch let refusal as Refusal {
      context.note.code = refusal.code.rawValue
      let address = context.parameters
      let wasMade =
        address.get("token").map { CheckoutToken(text: $0) != nil } ?? false
        || address.get("id").map { PaymentNumber(text: $0) != nil } ?? false
      return wasMade ? unknownOrder(request) : noSuchCheckout(request)
    } catch  where Problems.isGone(error) {
      throw error
    } catch {
      let problem = Problems.problem(of: error, context)
      let page = again ?? "/checkout/\(context.parameters.get("token") ?? "")"
      return unavailable(request, again: page, status: .init(code: problem.status))
    }
  }

  /// Every page may frame these: they have no form and no order. A shop's frame would otherwise show the browser's own
  /// error.
  private static let anybody = ["*"]

  private static func unavailable(_ request: Request, again path: String, status: HTTPResponse.Status) -> Response {
    let language = Language(request)
    let html = SharedPages.missing.fill([
      "lang": language.tag,
      "headline": language.say("One moment, please", "请稍候"),
      "text": language.say(
        "We cannot look at your order right now. If you have pressed Pay, do not pay again: nothing is lost.",
        "暂时无法查看您的订单。如果您已点击支付，请不要重复支付，款项不会丢失。"),
      "again": path,
      "againLabel": language.say("Look again", "重新查看"),
    ])
    return .page(html, status: status, framedBy: anybody)
  }

  /// A restored database may have forgotten the order, and its buyer may have paid.
  private static func unknownOrder(_ request: Request) -> Response {
    let language = Language(request)
    return notFound(
      in: language, headline: language.say("We do not find this order", "找不到该订单"),
      text: language.say(
        "If you have paid for it, do not pay again: ask the shop, which finds your payment or returns it.",
        "如果您已经支付，请不要重复支付。请联系商家，商家会查到您的付款或退还款项。"))
  }

  private static func noSuchCheckout(_ request: Request) -> Response {
    let language = Language(request)
    return notFound(
      in: language, headline: language.say("There is no such order", "订单不存在"),
      text: language.say(
        "The address is incomplete or out of date. Please go back to the shop.", "地址不完整或已失效，请返回商家。"))
  }

  private static func notFound(in language: Language, headline: String, text: String) -> Response {
    let html = SharedPages.missing.fill(["lang": language.tag, "headline": headline, "text": text])
    return .page(html, status: .notFound, framedBy: anybody)
  }
}
