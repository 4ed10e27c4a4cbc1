package import AsyncHTTPClient
import FoundationEssentials
import GRDB
package import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// The sandbox bank. It keeps books of the money that it takes, and misbehaves as its faults say.
package final class SandboxBank: Sendable {
  let books: Books
  private let client: HTTPClient
  private let logger: Logger
  private let signer: StandardWebhookSigner
  private let key: BankKey?
  private let conduct = Mutex((faults: Faults(), dice: BankDice(seed: 1)))

  package struct SetupError: Error, CustomStringConvertible {
    package let description: String
  }

  /// - Parameters:
  ///   - path: the file of the books. Its folder must exist.
  ///   - secret: signs the notices: `whsec_` and at least 16 bytes in base 64.
  ///   - key: must be shown for faults and books; `nil` when they are open to everybody.
  /// - Throws: when the secret is malformed, or the books cannot be opened or are another program's.
  package init(
    books path: String, secret: String, key: String?, client: HTTPClient, logger: Logger
  ) throws(SetupError) {
    guard let signer = StandardWebhookSigner(secret: secret) else {
      throw SetupError(description: "the bank's secret must be whsec_ and at least 16 bytes in base 64")
    }
    do { books = try Books(path: path) } catch {
      // The message is SQLite's, without the statement that met the error.
      let why = (error as? DatabaseError).map { $0.message ?? "SQLite \($0.resultCode.rawValue)" } ?? "\(error)"
      throw SetupError(
        description:
          "The bank's books \(path) cannot be opened: \(why). Name its own with --books, in a folder that can be "
          + "written.")
    }
    self.signer = signer
    self.key = key.map(BankKey.init)
    self.client = client
    self.logger = logger
  }

  /// Whether a request may see and change the faults, and see the books.
  func isAllowed(_ authorization: String?) -> Bool { key?.isShown(by: authorization) ?? true }

  // MARK: Conduct

  var faults: Faults { conduct.withLock { $0.faults } }

  func setFaults(_ faults: Faults) { conduct.withLock { $0 = (faults, BankDice(seed: faults.seed)) } }

  /// What happens to one request. `before` and `after` are the latency around the work, in milliseconds.
  struct Course: Sendable {
    enum Loss: Sendable { case none, request, response, errorBefore, errorAfter, turnedAway }
    let loss: Loss
    /// Whether a loss looks like silence. Else the connection ends at once.
    let isSilent: Bool
    let before: Int64
    let after: Int64
  }

  func course() -> Course {
    conduct.withLock { conduct in
      let (faults, latency) = (conduct.faults, conduct.dice.within(conduct.faults.latency_ms))
      let loss: Course.Loss =
        if conduct.dice.happens(faults.lose_request) {
          .request
        } else if conduct.dice.happens(faults.lose_response) {
          .response
        } else if conduct.dice.happens(faults.fail_500) {
          conduct.dice.happens(0.5) ? .errorBefore : .errorAfter
        } else if conduct.dice.happens(faults.throttle) {
          .turnedAway
        } else {
          .none
        }
      let share = conduct.dice.within([0, latency])
      return Course(loss: loss, isSilent: conduct.dice.happens(0.3), before: share, after: latency - share)
    }
  }

  func fate() -> Books.Fate {
    conduct.withLock { conduct in
      Books.Fate(
        capturesWrongAmount: conduct.dice.happens(conduct.faults.wrong_amount),
        succeedsLate: conduct.dice.happens(conduct.faults.late_success))
    }
  }

  // MARK: Time and notices

  /// Brings the books up to the present and announces what changed. Called before a charge, refund, page or the books
  /// are shown or changed, and again and again by `run`.
  func settle() async throws {
    try await announce(books.settle(fate: { self.fate() }, now: BankTime.now()))
  }

  /// Stores the notices of changed charges, unless a fault loses them.
  func announce(_ charges: [Charge]) async throws {
    let now = BankTime.now()
    let notices = charges.flatMap { charge -> [PendingNotice] in
      guard let url = charge.notify_url, let body = try? charge.json() else { return [] }
      return conduct.withLock { conduct in
        if conduct.dice.happens(conduct.faults.lose_notice) { return [] }
        let count = conduct.dice.happens(conduct.faults.duplicate_notice) ? 2 : 1
        // The id is not from the seeded numbers: they begin anew with each change of the faults, and every notice needs
        // an id of its own.
        let id = "msg_\(String(UInt64.random(in: .min ... .max), radix: 36))"
        return (0..<count).map { copy in
          PendingNotice(
            id: copy == 0 ? id : "\(id)_again", url: url, body: body,
            due_at: now + conduct.dice.within(conduct.faults.delay_notice_ms), attempts: 0)
        }
      }
    }
    try await books.add(notices)
  }

  /// The waits in milliseconds before a notice is sent again that was not acknowledged. After the last one it is given
  /// up.
  private static let noticeWaits: [Int64] = [1000, 5000, 30_000, 300_000, 3_600_000]

  /// Settles the books and sends due notices, until the task is cancelled.
  package func run() async {
    while !Task.isCancelled {
      do {
        try await settle()
        let due = try await books.dueNotices(now: BankTime.now(), limit: 32)
        await withTaskGroup(of: Void.self) { group in
          for notice in due { group.addTask { await self.send(notice) } }
        }
        if due.count == 32 { continue }
      } catch {
        logger.error("the bank's books failed", metadata: ["error": "\(error)"])
      }
      do { try await Task.sleep(for: .milliseconds(50)) } catch { return }
    }
  }

  private func send(_ notice: PendingNotice) async {
    // The attempt is counted before it is made: if it stops the program, it is not made again at every start. Addresses
    // are checked here, too, since an earlier release stored some that cannot be called.
    let isLast = notice.attempts >= Self.noticeWaits.count || !BankAddress.isWeb(notice.url)
    let wait = isLast ? nil : Self.noticeWaits[notice.attempts]
    do { try await books.finish(notice, nextAt: wait.map { BankTime.now() + $0 }) } catch {
      return logger.error("the bank's books failed", metadata: ["error": "\(error)"])
    }
    guard BankAddress.isWeb(notice.url), await deliver(notice), !isLast else { return }
    do { try await books.finish(notice, nextAt: nil) } catch {
      logger.error("the bank's books failed", metadata: ["error": "\(error)"])
    }
  }

  /// - Returns: whether the notice was acknowledged, with a 2xx.
  private func deliver(_ notice: PendingNotice) async -> Bool {
    do {
      var request = HTTPClientRequest(url: notice.url)
      request.method = .POST
      request.headers.add(name: "content-type", value: "application/json")
      // The second copy of a doubled notice has the id of the first.
      let id = notice.id.hasSuffix("_again") ? String(notice.id.dropLast(6)) : notice.id
      for (name, value) in signer.headers(id: id, timestamp: BankTime.now() / 1000, body: notice.body) {
        request.headers.add(name: name, value: value)
      }
      request.body = .bytes(ByteBuffer(string: notice.body))
      let response = try await client.execute(request, timeout: .seconds(10))
      _ = try await response.body.collect(upTo: 65_536)
      return (200..<300).contains(Int(response.status.code))
    } catch {
      logger.debug("a notice was not taken", metadata: ["notice": "\(notice.id)", "error": "\(type(of: error))"])
      return false
    }
  }
}

extension Charge {
  // swift-format-ignore: AlwaysUseLowerCamelCase
  private struct Shown: Encodable {
    let id: String
    let amount: Int64
    let currency: String
    let method: String
    let status: String
    let amount_captured: Int64?
    let captured_at: String?
    let expires_at: String?
    let created_at: String
    let refunds: [Refund]?

    struct Refund: Encodable {
      let id: String
      let amount: Int64
    }
  }

  /// The charge as the bank's clients read it. Members without a value are left out.
  /// - Parameter refunds: what was returned of it, the oldest first; `nil` where nobody asked.
  func json(_ refunds: [BankRefund]? = nil) throws -> String {
    let shown = Shown(
      id: id, amount: amount, currency: currency, method: method, status: status.rawValue,
      amount_captured: amount_captured, captured_at: captured_at.map(BankTime.text),
      expires_at: expires_at.map(BankTime.text), created_at: BankTime.text(created_at),
      refunds: refunds?.map { .init(id: $0.id, amount: $0.amount) })
    return String(decoding: try JSONEncoder().encode(shown), as: UTF8.self)
  }
}
