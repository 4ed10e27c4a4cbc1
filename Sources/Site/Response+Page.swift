import Crypto
import FoundationEssentials
package import HTTPTypes
package import Hummingbird
import NIOCore

extension Response {
  /// A page whose policy (CSP) allows only our own scripts and styles.
  /// - Parameters:
  ///   - formTargets: origins to which a form's redirect may lead, beside our own.
  ///   - framedBy: origins whose pages may frame this one. Empty: nobody's may.
  ///   - frames: origins whose pages this one may frame.
  ///   - script: the text of the page's inline script, which the policy allows by its hash.
  package static func page(
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

  /// Redirects with 303: the browser goes on with GET, so that a reload or the back button repeats nothing.
  package static func seeOther(_ location: String) -> Response {
    Response(status: .seeOther, headers: [.location: location, .cacheControl: "no-store"])
  }
}
