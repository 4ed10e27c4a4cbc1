import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Gives a server heads of requests that are printable ASCII throughout, so that whatever compares, splits and hashes
/// them afterwards, also in libraries, costs what it should (`PaymentCore/Values/OutsideText`).
///
/// In a header field a tab between question marks stands for any other byte, and only the value's end is kept: so it names no
/// key, no login, no language and no origin, and the last entry of a list, which a proxy of ours may have added, stays what
/// it is. In a method, a path and a field's name the parser itself refuses such bytes.
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

  /// Printable, or the tab that a header may have between two words.
  private static func isPlain(_ byte: UInt8) -> Bool { (0x20...0x7E).contains(byte) || byte == 0x09 }
}
