import Foundation
import Testing

/// What documents point to is there: people follow it, and so does the next change.
@Suite struct DocumentTests {
  static let root = HouseTests.sources.deletingLastPathComponent()

  /// Every file of the tree with this ending, by its path from the root; what is built is hidden, and left out.
  static func files(_ endings: String...) -> [String] {
    let walk = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil, options: .skipsHiddenFiles)
    return (walk?.allObjects ?? []).compactMap { ($0 as? URL)?.path }
      .filter { path in endings.contains { path.hasSuffix($0) } }
      .map { String($0.dropFirst(root.path.count + 1)) }
  }

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root.appending(path: path).standardized.path)
  }

  /// A document's lines without its blocks of code.
  static func prose(_ path: String) throws -> [Substring] {
    var isCode = false
    return try text(path).split(separator: "\n").filter { line in
      guard line.hasPrefix("```") else { return !isCode }
      isCode.toggle()
      return false
    }
  }

  /// The anchors that GitHub gives a document's headings.
  static func anchors(_ path: String) throws -> Set<String> {
    Set(
      try prose(path).filter { $0.hasPrefix("#") }.map { heading in
        heading.drop { $0 == "#" || $0 == " " }.lowercased().filter { $0.isLetter || $0.isNumber || " -_".contains($0) }
          .replacing(" ", with: "-")
      })
  }

  @Test func everyLinkLeadsSomewhere() throws {
    let link = /\]\(([^()\s]+)\)/
    var seen = 0
    for document in Self.files(".md") {
      let folder = document.split(separator: "/").dropLast().joined(separator: "/")
      for target in try Self.prose(document).flatMap({ $0.matches(of: link).map(\.1) }) where !target.contains(":") {
        seen += 1
        let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let path =
          parts[0].isEmpty ? document : [folder, String(parts[0])].filter { !$0.isEmpty }.joined(separator: "/")
        guard Self.exists(path) else {
          Issue.record("\(document) links to \(target), which is not there")
          continue
        }
        guard parts.count == 2 else { continue }
        #expect(try Self.anchors(path).contains(String(parts[1])), "\(document) links to \(target): no such heading")
      }
    }
    #expect(seen > 50)
  }

  /// In words, too: `Sources/PaymentCore/Decide/Decide.swift`, and with `::` what stands in such a file.
  @Test func everyFileThatIsNamedIsThere() throws {
    let name = /`((?:Sources|Tests|scripts|docs)\/[\w.\/+-]*)(?:::(\w+))?`/
    var seen = 0
    for document in Self.files(".md") {
      for match in try Self.prose(document).flatMap({ $0.matches(of: name) }) {
        seen += 1
        let path = String(match.1)
        guard Self.exists(path) else {
          Issue.record("\(document) names \(path), which is not there")
          continue
        }
        guard let what = match.2 else { continue }
        let isInThere = try Self.text(path).contains(Regex("\\b\(what)\\b"))
        #expect(isInThere, "\(document) names \(what) of \(path): it is not in there")
      }
    }
    #expect(seen > 10)
  }

  /// A room and a file in it, wherever in the room it lies: `PaymentEngine/Lane`.
  @Test func everyFileOfARoomThatIsNamedIsThere() throws {
    let name = /`([A-Z]\w+)\/([A-Z][\w+]*)`/
    var seen = 0
    let sources = Self.files(".swift", ".mustache").map { $0.split(separator: "/") }
    for document in Self.files(".md") {
      for match in try Self.prose(document).flatMap({ $0.matches(of: name) }) where match.1 != "Tests" {
        seen += 1
        let isThere = sources.contains { path in
          path.count > 2 && path[1] == match.1
            && (path.dropFirst(2).dropLast().contains(match.2)
              || path.last!.prefix { $0 != "." } == match.2 || path.last!.hasPrefix(match.2 + "+"))
        }
        #expect(isThere, "\(document) names \(match.0), which is not there")
      }
    }
    #expect(seen > 10)
  }

  @Test func everyDocumentThatTheCodeNamesIsThere() throws {
    let name = /docs\/[\w\/-]+\.md/
    var seen = 0
    for file in Self.files(".swift", ".py", ".js", ".sh", ".toml", "Makefile") {
      for match in try Self.text(file).split(separator: "\n").flatMap({ $0.matches(of: name) }) {
        seen += 1
        #expect(Self.exists(String(match.0)), "\(file) names \(match.0), which is not there")
      }
    }
    #expect(seen > 8)
  }
}
