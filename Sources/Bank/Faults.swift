import FoundationEssentials

// swift-format-ignore: AlwaysUseLowerCamelCase
/// How the bank misbehaves. Probabilities are 0 to 1, times are milliseconds, and a range is [least, most].
struct Faults: Codable, Equatable, Sendable {
  var seed: UInt64 = 1
  var latency_ms: [Int64] = [0, 0]
  /// The request is not carried out. The connection ends, or nothing comes back.
  var lose_request: Double = 0
  /// The request is carried out, and the answer is lost in the same ways.
  var lose_response: Double = 0
  /// The answer is 500, in half of the cases after the request was carried out.
  var fail_500: Double = 0
  /// The request is turned away with 429 and `Retry-After: 2`, and not carried out.
  var throttle: Double = 0
  var duplicate_notice: Double = 0
  var lose_notice: Double = 0
  var delay_notice_ms: [Int64] = [0, 0]
  /// For how long after its creation a charge is not found by queries.
  var visible_after_ms: Int64 = 0
  /// A charge that was closed unpaid succeeds 2 s later.
  var late_success: Double = 0
  /// One minor unit more is taken than was asked for.
  var wrong_amount: Double = 0

  init() {}

  /// The name of any member, so that unknown ones are found.
  private struct AnyName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Members that are missing keep their harmless defaults.
  /// - Throws: `BankRefusal` for an unknown member.
  init(from decoder: any Decoder) throws {
    let names = try decoder.container(keyedBy: AnyName.self).allKeys.map(\.stringValue)
    if let unknown = names.sorted().first(where: { CodingKeys(stringValue: $0) == nil }) {
      throw BankRefusal(400, "there is no fault called \(unknown.prefix(40).filter { $0.isLetter || $0 == "_" })")
    }
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func value<Value: Decodable>(_ key: CodingKeys, _ fallback: Value) throws -> Value {
      try container.decodeIfPresent(Value.self, forKey: key) ?? fallback
    }
    seed = try value(.seed, seed)
    latency_ms = try value(.latency_ms, latency_ms)
    lose_request = try value(.lose_request, lose_request)
    lose_response = try value(.lose_response, lose_response)
    fail_500 = try value(.fail_500, fail_500)
    throttle = try value(.throttle, throttle)
    duplicate_notice = try value(.duplicate_notice, duplicate_notice)
    lose_notice = try value(.lose_notice, lose_notice)
    delay_notice_ms = try value(.delay_notice_ms, delay_notice_ms)
    visible_after_ms = try value(.visible_after_ms, visible_after_ms)
    late_success = try value(.late_success, late_success)
    wrong_amount = try value(.wrong_amount, wrong_amount)
  }

  /// What is wrong with the values; `nil` when nothing is.
  var complaint: String? {
    let probabilities = [
      lose_request, lose_response, fail_500, throttle, duplicate_notice, lose_notice, late_success, wrong_amount,
    ]
    if probabilities.contains(where: { !(0...1).contains($0) }) { return "probabilities are 0 to 1" }
    for range in [latency_ms, delay_notice_ms] where range.count != 2 || range[0] < 0 || range[0] > range[1] {
      return "a range is [least, most] in milliseconds"
    }
    if latency_ms[1] > 120_000 || delay_notice_ms[1] > 3_600_000 || !(0...3_600_000).contains(visible_after_ms) {
      return "latency is at most 120000 ms, other times are at most 3600000 ms, and no time is negative"
    }
    return nil
  }
}

/// The bank's random numbers: SplitMix64. One seed gives one course of events, as long as requests come in the same
/// order.
struct BankDice: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  mutating func happens(_ probability: Double) -> Bool {
    probability > 0 && Double.random(in: 0..<1, using: &self) < probability
  }

  mutating func within(_ range: [Int64]) -> Int64 {
    range[1] <= range[0] ? range[0] : Int64.random(in: range[0]...range[1], using: &self)
  }
}
