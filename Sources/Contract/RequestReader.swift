package import PaymentCore

/// Reads the members of a request's JSON object and collects all of its errors, so that a developer can mend them in
/// one go. An unknown member is an error: it is misspelt, or asks for something that would silently not happen.
package struct RequestReader {
  private let members: [JSON.Member]
  /// The names that the request knows.
  private var read: [String] = []
  private var errors: [Refusal.FieldError] = []

  /// - Parameter body: an empty one counts as an empty object.
  /// - Throws: `invalid_request` when it is not JSON, or no object.
  package init(body: some Collection<UInt8>) throws(Refusal) {
    guard !body.isEmpty else {
      members = []
      return
    }
    let json: JSON
    do { json = try JSON(parsing: body) } catch {
      throw Refusal(.invalidRequest, "The body is not valid JSON: \(error.message), at byte \(error.offset).")
    }
    guard case .object(let members) = json else { throw Refusal(.invalidRequest, "The body must be a JSON object.") }
    self.members = members
  }

  private mutating func member(_ name: String) -> JSON? {
    read.append(name)
    guard let value = members.first(where: { $0.isNamed(name) })?.value, !value.isNull else { return nil }
    return value
  }

  package mutating func fail(_ field: String, _ message: String) {
    errors.append(.init(field: field, message: message))
  }

  /// A text of 1 to `maximum` Unicode scalars: no control characters, and none that change the direction of text.
  package mutating func text(_ name: String, maximum: Int) -> String? {
    guard let value = member(name) else { return nil }
    guard let text = value.text else {
      fail(name, "must be a string")
      return nil
    }
    guard (1...maximum).contains(text.unicodeScalars.count) else {
      fail(name, "must be 1 to \(maximum) characters long")
      return nil
    }
    guard text.unicodeScalars.allSatisfy(\.isHarmless) else {
      fail(name, Self.harm)
      return nil
    }
    return text
  }

  private static let harm = "must not contain control characters, nor characters that change the direction of text"

  /// A text of 1 to `maximum` characters of printable ASCII.
  package mutating func asciiText(_ name: String, maximum: Int) -> String? {
    guard let text = text(name, maximum: maximum) else { return nil }
    guard text.isPrintableASCII else {
      fail(name, "must be printable ASCII")
      return nil
    }
    return text
  }

  package mutating func requiredText(_ name: String, maximum: Int) -> String {
    required(name) { $0.text(name, maximum: maximum) }
  }

  package mutating func requiredASCII(_ name: String, maximum: Int) -> String {
    required(name) { $0.asciiText(name, maximum: maximum) }
  }

  private mutating func required(_ name: String, _ read: (inout Self) -> String?) -> String {
    let count = errors.count
    if let text = read(&self) { return text }
    if errors.count == count { fail(name, "is required") }
    return ""
  }

  /// - Parameter unit: is named in the complaint.
  package mutating func integer(_ name: String, in range: ClosedRange<Int64>, unit: String? = nil) -> Int64? {
    guard let value = member(name) else { return nil }
    let bounds = "\(range.lowerBound.grouped) to \(range.upperBound.grouped)\(unit.map { ", \($0)" } ?? "")"
    guard let integer = value.integer else {
      fail(
        name,
        value.isWhole ? "must be \(bounds)" : "must be an integer, written without quotes, point or exponent: \(bounds)"
      )
      return nil
    }
    guard range.contains(integer) else {
      fail(name, "must be \(bounds)")
      return nil
    }
    return integer
  }

  package mutating func requiredInteger(_ name: String, in range: ClosedRange<Int64>, unit: String? = nil) -> Int64 {
    let count = errors.count
    if let integer = integer(name, in: range, unit: unit) { return integer }
    if errors.count == count { fail(name, "is required") }
    return range.lowerBound
  }

  package mutating func requiredCurrency(_ name: String) -> Currency? {
    guard let value = member(name) else {
      fail(name, "is required")
      return nil
    }
    let currency = value.text.flatMap { Currency(code: $0) }
    if currency == nil { fail(name, "must be an ISO 4217 code in capitals, such as CNY, EUR or USD") }
    return currency
  }

  package mutating func word<Word: RawRepresentable<String> & CaseIterable>(_ name: String) -> Word? {
    guard let value = member(name) else { return nil }
    if let text = value.text, let word = Word(exactly: text) { return word }
    fail(name, "must be one of \(Word.allCases.map(\.rawValue).joined(separator: ", "))")
    return nil
  }

  package mutating func requiredWord<Word: RawRepresentable<String> & CaseIterable>(_ name: String) -> Word? {
    let count = errors.count
    if let word: Word = word(name) { return word }
    if errors.count == count { fail(name, "is required") }
    return nil
  }

  /// An object of texts: at most 20 members, with names of 1 to 40 and values of at most 500 Unicode scalars.
  package mutating func texts(_ name: String) -> Fields {
    guard let value = member(name) else { return Fields() }
    guard case .object(let members) = value else {
      fail(name, "must be an object")
      return Fields()
    }
    if members.count > 20 { fail(name, "must have at most 20 members") }
    var fields = Fields()
    for member in members.prefix(20).sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
      guard (1...40).contains(member.name.unicodeScalars.count), member.name.unicodeScalars.allSatisfy(\.isHarmless)
      else {
        fail(name, "must have names of 1 to 40 characters; each \(Self.harm)")
        continue
      }
      guard let text = member.value.text, text.unicodeScalars.count <= 500 else {
        fail("\(name).\(member.name)", "must be a string of at most 500 characters")
        continue
      }
      guard text.unicodeScalars.allSatisfy(\.isHarmless) else {
        fail("\(name).\(member.name)", Self.harm)
        continue
      }
      fields.append(member.name, text)
    }
    return fields
  }

  /// How many errors are listed. No request has as many fields; the limit keeps the answer small when many names are
  /// unknown.
  private static let told = 50

  /// Ends the reading.
  /// - Throws: `invalid_request` with all errors, the unknown members among them, if there are any.
  package func finish() throws(Refusal) {
    let unknown = members.lazy.filter { member in !read.contains { member.isNamed($0) } }
    let count = errors.count + unknown.count
    guard count > 0 else { return }
    let all =
      errors
      + unknown.prefix(Self.told).map {
        Refusal.FieldError(field: String($0.name.unicodeScalars.prefix(80)), message: "is not a field of this request")
      }
    let rest = count > Self.told ? " It has \(count); the first \(Self.told) are listed." : ""
    throw Refusal(
      .invalidRequest, "The request has errors in its fields.\(rest)", errors: Array(all.prefix(Self.told)))
  }
}

extension JSON {
  /// Whether the number is written as an integer, of whatever size.
  fileprivate var isWhole: Bool {
    guard case .number(let text) = self else { return false }
    return text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
  }
}

extension Int64 {
  /// The number with commas, as people read it: `999,999,999,999`.
  fileprivate var grouped: String {
    var text = ""
    for (index, digit) in String(magnitude).reversed().enumerated() {
      if index > 0, index.isMultiple(of: 3) { text.append(",") }
      text.append(digit)
    }
    return (self < 0 ? "-" : "") + String(text.reversed())
  }
}
