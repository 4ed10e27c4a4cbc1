import Foundation
import Testing

/// The rules of docs/internals/architecture.md that a compiler does not check, checked on the text of the sources.
@Suite struct HouseTests {
  /// What each target imports beside the standard library: the table of targets in docs/internals/architecture.md.
  static func imports() throws -> [String: Set<String>] {
    let document = sources.deletingLastPathComponent().appending(path: "docs/internals/architecture.md")
    let rows = try String(contentsOf: document, encoding: .utf8).split(separator: "\n")
      .drop { !$0.hasPrefix("| target |") }.prefix { $0.hasPrefix("|") }.dropFirst(2)
    var imports: [String: Set<String>] = [:]
    for row in rows {
      let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      let modules = cells[2] == "nothing" ? [] : cells[2].split(separator: ", ").map(String.init)
      for target in cells[0].matches(of: /`(\w+)`/) { imports[String(target.1)] = Set(modules) }
    }
    return imports
  }

  /// The rooms that answer requests.
  static let web = ["Site", "API", "Checkout", "Demo", "Web"]

  struct Line: CustomStringConvertible {
    let file: String
    let number: Int
    let text: Substring
    var description: String { "\(file):\(number): \(text)" }
  }

  static let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Sources")

  static func targets() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: sources.path).filter { !$0.hasPrefix(".") }
  }

  /// The lines of a target, without what stands behind `//`.
  static func lines(of target: String) throws -> [Line] {
    let folder = sources.appending(path: target)
    var lines: [Line] = []
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where path.hasSuffix(".swift") {
      let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
      for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        let code = line.firstRange(of: "//").map { line[..<$0.lowerBound] } ?? line
        lines.append(Line(file: "\(target)/\(path)", number: index + 1, text: code))
      }
    }
    return lines
  }

  /// Reports every line of the targets in which the pattern is found.
  static func forbid(_ pattern: String, in targets: [String], except excepted: [String] = []) throws {
    let expression = try NSRegularExpression(pattern: pattern)
    for line in try targets.flatMap(lines(of:)) {
      let text = String(line.text)
      if excepted.contains(where: text.contains) { continue }
      let match = expression.firstMatch(in: text, range: NSRange(text.startIndex..., in: text))
      if match != nil { Issue.record("\(line)") }
    }
  }

  static func imported(_ line: Line) -> String? {
    let words = line.text.split(separator: " ")
    guard let index = words.firstIndex(of: "import"), index + 1 < words.count,
      words[..<index].allSatisfy({
        ["package", "public", "internal", "private", "fileprivate"].contains($0) || $0.hasPrefix("@")
      })
    else { return nil }
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
    let name = kinds.contains(words[index + 1]) ? words[index + 2] : words[index + 1]
    return String(name.prefix { $0 != "." })
  }

  @Test func everyTargetIsInTheTable() throws {
    #expect(Set(try Self.targets()) == Set(try Self.imports().keys))
  }

  @Test func targetsImportWhatTheTableSaysAndNothingElse() throws {
    var seen = 0
    for (target, allowed) in try Self.imports() where allowed != ["everything"] {
      var used: Set<String> = []
      for line in try Self.lines(of: target) {
        guard let module = Self.imported(line) else { continue }
        seen += 1
        used.insert(module)
        #expect(allowed.contains(module), "\(line) is not in the table of \(target)")
      }
      #expect(allowed.isSubset(of: used), "\(target) imports no \(allowed.subtracting(used).sorted())")
    }
    #expect(seen > 50)
  }

  /// What happens to a payment depends on what the program hands down, so that a seeded world can hand it down too.
  @Test func clocksAndDiceAreInTheProgramAlone() throws {
    let dice = #"\.random\(|randomElement|shuffle|SystemRandomNumberGenerator|\bUUID\(|\bHasher\("#
    let clocks =
      #"\bDate\(\)|Date\.now|SuspendingClock|clock_gettime|gettimeofday|NIODeadline\.now|DispatchTime|Task\.sleep"#
    let deciding = [
      "PaymentCore", "PaymentEngine", "Contract", "OrderRows", "PostgresStore", "SQLiteStore", "Providers",
      "Simulation",
    ]
    try Self.forbid(dice + "|" + clocks + "|ContinuousClock", in: deciding)
    // How long a request took, and how long its body has been on its way, is all that the web's rooms measure by themselves.
    // A connection's time is its event loop's.
    try Self.forbid(dice + "|" + clocks, in: Self.web + ["Listener"])
  }

  @Test func moneyIsCountedInIntegers() throws {
    let targets =
      ["PaymentCore", "PaymentEngine", "Contract", "OrderRows", "SQLiteStore", "Providers", "Simulation"] + Self.web
    let floating = #"\b(Double|Float|Float32|Float64|CGFloat|Decimal)\b|/ 100\b|pow\("#
    // The spread of a wait and the leap years are no money.
    try Self.forbid(floating, in: targets, except: ["jitterPercent", "yearOfEra"])
  }

  /// Swift compares and hashes text by what it looks like: quadratic in a run of combining marks, and not what was sent.
  /// `PaymentCore/Values/OutsideText` and `Site/FormFields` have what is used instead.
  @Test func textFromOutsideIsComparedAsBytes() throws {
    let outer = ["Contract", "Bank"] + Self.web
    // What compares or hashes every text that it is given, in our hands or in a library's.
    try Self.forbid(
      #"Set<String>|\(rawValue:|\.init\(rawValue|URLEncodedFormDecoder|\.cookies\b|: JSON\b.*=="#, in: outer)
    // A query's keys are hashed: only where they are ASCII, behind `PlainHeads` and the bank's own look.
    try Self.forbid(#"queryParameters"#, in: outer, except: [#"URI("/?" + form.replacing"#])
    // What a form or a query held, before anything is known of it.
    let raw = #"(queryText\([^)]*\)|\b[fF]orm\??\[[^\]]*\])\??"#
    try Self.forbid(raw + #"(\.(has|lower|upper|contains\(|split\(|prefix\()| [=!]= ")"#, in: Self.web)
    // The parsers: here text is bytes, but for addresses, whose bytes are looked at first.
    let parsing = #"\.hasPrefix|\.hasSuffix|\.lowercased|\.uppercased|\.split\(separator: "|\.contains\("|\[String: "#
    for line in try Self.lines(of: "Contract") where !line.file.contains("WebAddress") {
      let match = try Regex(parsing).firstMatch(in: String(line.text))
      #expect(match == nil, "\(line)")
    }
    // Whoever listens lets only plain heads in: routes are found before anything of ours is asked.
    let listener = try Self.lines(of: "Listener").filter { $0.text.contains("HTTP1Channel.Configuration(") }
    #expect(listener.count == 1)
    let text = try String(contentsOf: Self.sources.appending(path: "Listener/Listener.swift"), encoding: .utf8)
    #expect(text.contains("additionalChannelHandlers: [PlainHeads()]"), "a server without PlainHeads")
    // And with its bounds: nobody listens by other means.
    try Self.forbid(#"\.http1\(|HTTP1Channel|ServerBootstrap"#, in: try Self.targets().filter { $0 != "Listener" })
  }

  /// No lock file is kept: what a build is made of stands in the manifest.
  @Test func versionsAreExact() throws {
    let manifest = Self.sources.deletingLastPathComponent().appending(path: "Package.swift")
    let packages = try String(contentsOf: manifest, encoding: .utf8).split(separator: "\n")
      .filter { $0.contains(".package(url:") }
    #expect(packages.count >= 10)
    for package in packages { #expect(package.contains(", exact: \""), "\(package)") }
  }

  /// What tests share is in `Tests/BlackBox/support`: a test can be moved, cut and deleted without another one noticing.
  @Test func nothingImportsFromATest() throws {
    let scripts = DocumentTests.files(".py").filter { $0.hasPrefix("Tests/BlackBox/") }
    #expect(scripts.count > 30)
    for script in scripts {
      let imports = try DocumentTests.text(script).matches(
        of: /(?m)^\s*(?:from|import) (?:\w+\.)*(?:test_\w+|conftest)\b.*/)
      #expect(imports.isEmpty, "\(script): \(imports.map(\.0))")
    }
  }

  @Test func noFileIsLongerThanAReaderCanHold() throws {
    let files = DocumentTests.files(".swift", ".py", ".js", ".sh", ".c")
    #expect(files.count > 200)
    for file in files {
      let count = try DocumentTests.text(file).count { $0 == "\n" }
      #expect(count <= 400, "\(file) has \(count) lines")
    }
  }

  @Test func theEngineIsStructured() throws {
    let pattern = #"\bTask\s*(\{|\.detached|\(priority)|DispatchQueue|\bThread\b"#
    try Self.forbid(pattern, in: ["PaymentCore", "PaymentEngine"])
  }

  @Test func nothingIsLeftForLater() throws {
    let pattern = #"fatalError\(|\btry!"#
    try Self.forbid(pattern, in: Self.targets())
    for target in try Self.targets() {
      let folder = Self.sources.appending(path: target)
      for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
        let names = ["Common", "Utils", "Shared", "Models", "Helpers", "Services"]
        #expect(!path.split(separator: "/").contains { names.contains(String($0)) }, "\(target)/\(path)")
        guard path.hasSuffix(".swift") else { continue }
        let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
        if let note = text.firstMatch(of: /\b(TODO|FIXME|HACK)\b/) { Issue.record("\(target)/\(path): \(note.0)") }
      }
    }
  }
}
