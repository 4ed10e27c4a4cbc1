/// How badly the surroundings behave, in thousandths of the occasions and milliseconds.
struct Weather {
  // Between PayOnce and a provider.
  var refusesConnection = 0
  var losesRequest = 0
  var losesAnswer = 0
  /// A 5xx, in half of the cases after the request was carried out.
  var answersError = 0
  /// A refusal that says nothing about the payment, and is not one of those that are final.
  var answersRubbish = 0
  /// The request is not carried out, and wanted again later.
  var saysNotNow = 0
  var doublesRequest = 0
  var longestDelay = 20
  /// For how long a query may still see what was before.
  var longestLag = 0

  // What providers do by themselves.
  var losesNotice = 0
  var doublesNotice = 0
  var longestNoticeDelay = 200
  var succeedsLate = 0
  var takesWrongAmount = 0
  var takesRefundBack = 0
  var returnsByItself = 0

  // The store.
  var storeRefuses = 0
  var storeConflicts = 0
  /// Another node holds an order that a batch names, or has changed it since it was loaded.
  var storeHolds = 0
  var storeDoubts = 0
  var crashesInCommit = 0

  // The machines.
  var setsClocks = 0

  /// Everything works, and quickly.
  static let calm = Weather()

  /// Each world has its own: most faults are rare or absent in it, some are frequent.
  static func storm(_ dice: Dice) -> Weather {
    func some(_ most: Int) -> Int { dice.happens(500) ? dice.below(most + 1) : 0 }
    var weather = Weather()
    weather.refusesConnection = some(200)
    weather.losesRequest = some(300)
    weather.losesAnswer = some(400)
    weather.answersError = some(300)
    weather.answersRubbish = some(60)
    weather.saysNotNow = some(200)
    weather.doublesRequest = some(300)
    weather.longestDelay = dice.pick([20, 500, 3000, 9000, 25_000])
    weather.longestLag = dice.pick([0, 0, 1000, 10_000])
    weather.losesNotice = dice.pick([0, 300, 1000])
    weather.doublesNotice = some(500)
    weather.longestNoticeDelay = dice.pick([200, 5000, 60_000, 3_600_000])
    weather.succeedsLate = some(400)
    weather.takesWrongAmount = dice.happens(200) ? 100 : 0
    weather.takesRefundBack = dice.happens(200) ? 200 : 0
    weather.returnsByItself = dice.happens(200) ? 200 : 0
    weather.storeRefuses = some(60)
    weather.storeConflicts = some(100)
    weather.storeHolds = some(100)
    weather.storeDoubts = some(40)
    weather.crashesInCommit = some(20)
    weather.setsClocks = some(800)
    return weather
  }
}
