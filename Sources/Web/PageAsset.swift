import Crypto
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Mustache
import NIOCore

/// A script, style or picture of the pages. Ours are part of the program, which therefore runs alone from any folder.
struct PageAsset: Sendable {
  let path: String
  let type: String
  /// Shared by all who read it.
  private let body: ByteBuffer

  /// Whether the pages of every site may load it.
  let isPublic: Bool
  /// A browser that has these bytes already is told so.
  private let tag: String

  init(_ path: String, _ type: String, _ bytes: [UInt8], isPublic: Bool = false) {
    self.path = path
    self.type = type
    body = ByteBuffer(bytes: bytes)
    self.isPublic = isPublic
    tag = "\"" + SHA256.hash(data: bytes).prefix(16).map { String($0, radix: 16) }.joined() + "\""
  }

  static let all = [
    PageAsset("/payonce.js", "text/javascript; charset=utf-8", PackageResources.payonce_js, isPublic: true),
    PageAsset("/checkout.css", "text/css; charset=utf-8", PackageResources.checkout_css),
    PageAsset("/checkout.js", "text/javascript; charset=utf-8", PackageResources.checkout_js),
    PageAsset("/again.js", "text/javascript; charset=utf-8", PackageResources.again_js),
    PageAsset("/checkout-reload.js", "text/javascript; charset=utf-8", PackageResources.checkout_reload_js),
  ]

  static let demo = [
    PageAsset("/demo/demo.css", "text/css; charset=utf-8", PackageResources.demo_css),
    PageAsset("/demo/demo.js", "text/javascript; charset=utf-8", PackageResources.demo_js),
    PageAsset("/demo/tea.svg", "image/svg+xml", PackageResources.tea_svg),
    PageAsset("/demo/cup.svg", "image/svg+xml", PackageResources.cup_svg),
    PageAsset("/demo/pot.svg", "image/svg+xml", PackageResources.pot_svg),
  ]

  func response(_ request: Request) -> Response {
    var headers: HTTPFields = [.contentType: type, .cacheControl: "no-cache", .eTag: tag]
    if isPublic {
      headers[.accessControlAllowOrigin] = "*"
      headers[.init("Cross-Origin-Resource-Policy")!] = "cross-origin"
    }
    if request.headers[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
    return Response(status: .ok, headers: headers, body: .init(byteBuffer: body))
  }
}

/// The pages, read once.
enum PageTemplate {
  static let checkout = template(PackageResources.checkout_mustache)
  static let demoShop = template(PackageResources.demo_shop_mustache)
  static let demoOrder = template(PackageResources.demo_order_mustache)
  static let demoBack = template(PackageResources.demo_back_mustache)
  static let ownPage = template(PackageResources.own_page_mustache)
  static let missing = template(PackageResources.missing_mustache)

  private static func template(_ bytes: [UInt8]) -> MustacheTemplate {
    // A template that does not parse is found by the first test that asks for its page.
    do { return try MustacheTemplate(string: String(decoding: bytes, as: UTF8.self)) } catch {
      preconditionFailure("a page's template does not parse: \(error)")
    }
  }
}

extension MustacheTemplate {
  /// The page with these values. What is `nil` is left out: the library takes an optional in an `Any` for a value.
  func fill(_ values: [String: Any?]) -> String { render(values.compactMapValues { $0 }) }
}

extension Response {
  /// A page that runs only our own scripts and styles.
  /// - Parameters:
  ///   - formTargets: origins that a form's redirect may lead to.
  ///   - framedBy: origins whose pages may show it inside of them; else nobody's may.
  ///   - frames: origins whose pages it shows inside of itself.
  ///   - script: its own script, if it has one within.
  static func page(
    _ html: String, status: HTTPResponse.Status = .ok, formTargets: [String] = [], framedBy: [String] = [],
    frames: [String] = [], script: String? = nil
  ) -> Response {
    func list(_ origins: [String]) -> String { origins.isEmpty ? "'none'" : origins.joined(separator: " ") }
    let own = script.map { " 'sha256-\(Data(SHA256.hash(data: Data($0.utf8))).base64EncodedString())'" } ?? ""
    let policy = """
      default-src 'none'; script-src 'self'\(own); style-src 'self'; img-src 'self' data:; connect-src 'self'; \
      form-action \(list(["'self'"] + formTargets)); frame-src \(list(frames)); base-uri 'none'; \
      frame-ancestors \(list(framedBy))
      """
    return Response(
      status: status,
      headers: [
        .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
        .init("Content-Security-Policy")!: policy, .init("Referrer-Policy")!: "no-referrer",
      ], body: .init(byteBuffer: ByteBuffer(string: html)))
  }
}
