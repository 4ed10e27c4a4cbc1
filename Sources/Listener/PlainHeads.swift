import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Gives a server heads of requests that are printable ASCII throughout, so that whatever compares, splits and hashes
/// them afterwards, also in libraries, costs what it should (`PaymentCore/OutsideText`). It stands at the door, before
/// the first such look: the router compares paths before any middleware sees a request.
///
/// A header field with any other byte counts as empty: it names no key, no login, no language, no origin. In a path such
/// bytes are percent-encoded, as the client ought to have done.
final class PlainHeads: ChannelInboundHandler, RemovableChannelHandler, Sendable {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(var head) = unwrapInboundIn(data), !Self.isPlain(head) else {
      return context.fireChannelRead(data)
    }
    head.path = head.path.map(Self.encoded)
    if let authority = head.authority, !Self.isPlain(authority) { head.authority = "" }
    for index in head.headerFields.indices where !Self.isPlain(head.headerFields[index].value) {
      head.headerFields[index].value = ""
    }
    context.fireChannelRead(wrapInboundOut(.head(head)))
  }

  private static func isPlain(_ head: HTTPRequest) -> Bool {
    isPlain(head.path ?? "") && isPlain(head.authority ?? "") && head.headerFields.allSatisfy { isPlain($0.value) }
  }

  private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy(isPlain) }

  /// Printable, or the tab that a header may have between two words.
  private static func isPlain(_ byte: UInt8) -> Bool { (0x20...0x7E).contains(byte) || byte == 0x09 }

  private static func encoded(_ path: String) -> String {
    let hex = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(path.utf8.count)
    for byte in path.utf8 {
      if isPlain(byte) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
