import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Makes every request head printable ASCII, so that comparing, splitting and hashing its text afterwards, also in
/// libraries, costs no more than its length (`PaymentCore/Values/OutsideText`).
///
/// In a header field every other byte is replaced by a tab between question marks, and of such a value only the last
/// 256 bytes are kept. No key, login, language or origin contains a tab, so the value matches none of them. The last
/// entry of a list, which may be our own proxy's, is at the end and survives. In methods, paths and field names the
/// parser refuses such bytes.
final class PlainHeads: ChannelInboundHandler, RemovableChannelHandler, Sendable {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
    if let authority = head.authority, !Self.isPlain(authority) { head.authority = Self.plain(authority) }
    for index in head.headerFields.indices where !Self.isPlain(head.headerFields[index].value) {
      head.headerFields[index].value = Self.plain(head.headerFields[index].value)
    }
    context.fireChannelRead(wrapInboundOut(.head(head)))
  }

  private static func plain(_ text: String) -> String {
    String(decoding: text.utf8.suffix(256).flatMap { isPlain($0) ? [$0] : Array("?\t?".utf8) }, as: UTF8.self)
  }

  private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy(isPlain) }

  /// Whether the byte is printable ASCII, or the tab that a field may have between two words.
  private static func isPlain(_ byte: UInt8) -> Bool { (0x20...0x7E).contains(byte) || byte == 0x09 }
}
