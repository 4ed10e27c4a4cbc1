import HTTPTypes
import Hummingbird
import Mustache
import NIOCore

/// A script or style of the pages. It is part of the program, which therefore runs alone from any folder.
struct PageAsset: Sendable {
  let path: String
  let type: String
  let bytes: [UInt8]

  static let all = [
    PageAsset(path: "/checkout.css", type: "text/css; charset=utf-8", bytes: PackageResources.checkout_css),
    PageAsset(path: "/checkout.js", type: "text/javascript; charset=utf-8", bytes: PackageResources.checkout_js),
  ]

  var response: Response {
    Response(
      status: .ok,
      headers: [
        .contentType: type, .cacheControl: "no-cache", .init("X-Content-Type-Options")!: "nosniff",
      ], body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}

/// The pages, read once.
enum PageTemplate {
  static let checkout = template(PackageResources.checkout_mustache)
  static let demo = template(PackageResources.demo_mustache)
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
  /// A page that runs only our own scripts and styles, and that nobody else may frame.
  /// - Parameter formTargets: origins that a form's redirect may lead to.
  static func page(_ html: String, status: HTTPResponse.Status = .ok, formTargets: [String] = []) -> Response {
    let forms = (["'self'"] + formTargets).joined(separator: " ")
    let policy = """
      default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
      form-action \(forms); base-uri 'none'; frame-ancestors 'none'
      """
    return Response(
      status: status,
      headers: [
        .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
        .init("Content-Security-Policy")!: policy, .init("Referrer-Policy")!: "no-referrer",
        .init("X-Content-Type-Options")!: "nosniff",
      ], body: .init(byteBuffer: ByteBuffer(string: html)))
  }
}
