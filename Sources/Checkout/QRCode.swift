import CQREncode

/// A QR code for screens.
struct QRCode {
  /// The number of modules on each side.
  let width: Int
  /// The modules row by row, `true` where one is dark.
  let isDark: [Bool]

  /// - Parameter content: at most 2,331 bytes, which the largest code holds. `nil` results from more, or from none.
  init?(_ content: String) {
    // Level M survives damage to 15 % of the code, which is enough for a screen.
    guard let code = QRcode_encodeString8bit(content, 0, QR_ECLEVEL_M) else { return nil }
    defer { QRcode_free(code) }
    width = Int(code.pointee.width)
    isDark = (0..<width * width).map { code.pointee.data[$0] & 1 == 1 }
  }

  /// The quiet zone that scanners need around a code, in modules (ISO/IEC 18004).
  private static let margin = 4

  /// The code as SVG, dark on light also on a dark page: many scanners do not read the inverse.
  var svg: String {
    let size = width + 2 * Self.margin
    var path = ""
    for row in 0..<width {
      var column = 0
      while column < width {
        let start = column
        while column < width, isDark[row * width + column] { column += 1 }
        if column > start {
          path += "M\(start + Self.margin) \(row + Self.margin)h\(column - start)v1h-\(column - start)z"
        }
        column += 1
      }
    }
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size) \(size)" shape-rendering="crispEdges">\
      <path fill="#fff" d="M0 0h\(size)v\(size)h-\(size)z"/><path d="\(path)"/></svg>
      """
  }
}
