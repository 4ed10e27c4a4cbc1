package import PaymentCore

extension Instant {
  /// The instant as RFC 3339 in UTC with milliseconds: `2026-11-24T01:02:03.004Z`. Computed in integers: a `Date` holds
  /// seconds as floating point, and prints some milliseconds one too low.
  package var rfc3339: String {
    let (days, inDay) = milliseconds.quotientAndRemainder(dividingBy: 86_400_000)
    let date = Self.civil(days: inDay < 0 ? days - 1 : days)
    let time = inDay < 0 ? inDay + 86_400_000 : inDay
    var bytes: [UInt8] = []
    bytes.reserveCapacity(24)
    func write(_ value: Int64, _ width: Int, _ end: Unicode.Scalar) {
      var digits: Int64 = 1
      for _ in 1..<width { digits *= 10 }
      while digits > 0 {
        bytes.append(UInt8(ascii: "0") + UInt8(value / digits % 10))
        digits /= 10
      }
      bytes.append(UInt8(ascii: end))
    }
    write(date.year, 4, "-")
    write(date.month, 2, "-")
    write(date.day, 2, "T")
    write(time / 3_600_000, 2, ":")
    write(time / 60_000 % 60, 2, ":")
    write(time / 1000 % 60, 2, ".")
    write(time % 1000, 3, "Z")
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The proleptic Gregorian date of a day number; 0 is 1970-01-01. Years are counted from March, so that the leap day
  /// is the last day of a year, and in eras of 400 years, which all have the same length.
  private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}
