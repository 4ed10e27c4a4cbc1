import FoundationEssentials
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

extension SandboxBank {
  /// Adds the page on which a buyer pays, declines, or does nothing.
  func addCashier(to router: Router<BankContext>) {
    router.get("/pay/:id") { request, context in
      try await self.settle()
      let charge = try await self.books.charge(try context.parameters.require("id"))
      return Self.page(charge, back: Self.field("back", in: request.uri.query))
    }
    router.post("/pay/:id") { request, context in
      try await self.settle()
      let id = try context.parameters.require("id")
      let form = String(buffer: try await request.body.collect(upTo: Self.bodyLimit))
      guard let action = Self.field("action", in: form).flatMap(Choice.init) else {
        return try await Self.refusing { throw BankRefusal(400, "invalid_form") }
      }
      let back = Self.field("back", in: form).flatMap(Self.safe)
      do {
        if action != .nothing {
          let result = try await self.books.decide(id, pays: action == .pay, fate: self.fate(), now: BankTime.now())
          if result.changed { try await self.announce([result.charge]) }
        }
      } catch is BankRefusal { return Self.page(nil, back: back) }
      guard let back else { return Self.page(try await self.books.charge(id), back: nil) }
      return Response(status: .seeOther, headers: [.location: back])
    }
  }

  private enum Choice: String { case pay, decline, nothing }

  /// A field of a form or query; `nil` unless its value is printable ASCII, as all values of the bank are. Swift
  /// compares other text by what it looks like, which takes seconds for a run of combining marks.
  static func field(_ name: String, in form: String?) -> String? {
    guard let form, isASCII(form) else { return nil }
    let value = URI("/?" + form.replacing("+", with: "%20")).queryParameters[name[...]]
    return value.flatMap { isASCII($0) ? String($0) : nil }
  }

  private static func isASCII(_ text: some StringProtocol) -> Bool {
    text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
  }

  /// The address if it leads to the web, where a browser runs no script of it.
  private static func safe(_ url: String) -> String? {
    BankAddress.isWeb(url) ? url : nil
  }

  private static func escape(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;").replacing("'", with: "&#39;")
  }

  private static func page(_ charge: Charge?, back: String?) -> Response {
    let body: String
    if let charge {
      let state: String =
        switch charge.status {
        case .succeeded: "This charge is paid. 已支付。"
        case .declined: "This charge was declined. 已拒绝。"
        case .closed: "This charge is closed. It cannot be paid any more. 已关闭，不能再支付。"
        case .pending: "The bank is working on this charge. 处理中。"
        case .requiresAction: ""
        }
      let field = back.flatMap(safe).map { "<input type=hidden name=back value=\"\(escape($0))\">" } ?? ""
      let buttons =
        charge.status == .requiresAction
        ? """
        <form method=post>\(field)
        <button name=action value=pay class=pay>Pay 支付</button>
        <button name=action value=decline>Decline 拒绝</button>
        <button name=action value=nothing>Do nothing 不操作</button></form>
        """
        : "<p class=state>\(state)</p>"
          + (back.flatMap(safe).map { "<p><a href=\"\(escape($0))\">Back 返回</a></p>" } ?? "")
      body = """
        <h1>Sandbox bank 沙盒银行</h1><p class=note>Not a bank. No money moves here. 不是真实银行，不涉及资金。</p>
        <dl><dt>Amount (minor units) 金额（最小货币单位）</dt><dd>\(charge.amount) \(escape(charge.currency))</dd>
        <dt>Trade number 交易号</dt><dd><code>\(escape(charge.id))</code></dd></dl>\(buttons)
        """
    } else {
      body = "<h1>Sandbox bank 沙盒银行</h1><p>There is no such charge. 没有这笔交易。</p>"
    }
    let page = """
      <!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
      <title>Sandbox bank</title><style>
      body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#1d2733;\
      background:#f4f1e8}h1{font-size:1.4rem}dl{background:#fff;padding:1rem;border:1px solid #d8d2c0}\
      dt{color:#5b6470;font-size:.85rem}dd{margin:0 0 .6rem}code{word-break:break-all}\
      button{font:inherit;padding:.6rem 1rem;margin:.2rem;border:1px solid #8a8471;background:#fff;cursor:pointer}\
      button.pay{background:#1c5d3a;color:#fff;border-color:#1c5d3a}.note{color:#7a5b00}
      </style><body>\(body)
      """
    return Response(
      status: charge == nil ? .notFound : .ok,
      headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-store"],
      body: .init(byteBuffer: ByteBuffer(string: page)))
  }
}
