import Foundation
import Testing

@testable import Bank

/// The sandbox bank's own rules. A gate that asks for too much would hide a bank that lets it.
@Suite struct BooksTests {
  private static func books() throws -> Books {
    let folder = FileManager.default.temporaryDirectory.appending(path: "payonce-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return try Books(path: folder.appending(path: "bank.db").path)
  }

  /// A charge of 100 minor units.
  private static func charge(_ id: String, _ method: String = "ok") -> Charge {
    Charge(id: id, amount: 100, currency: "CNY", method: method, status: .pending, created_at: 0)
  }

  private static func refund(_ books: Books, _ id: String, of charge: String, _ amount: Int64) async throws -> Int64 {
    try await books.refund(BankRefund(id: id, charge: charge, amount: amount, created_at: 0)).amount
  }

  private static func expectRefusal(_ status: Int, _ code: String, _ work: () async throws -> Void) async {
    await #expect { try await work() } throws: { error in
      (error as? BankRefusal).map { $0.status == status && $0.code == code } ?? false
    }
  }

  @Test func refundsDoNotExceedTheCharge() async throws {
    let books = try Self.books()
    for id in ["a", "b"] { _ = try await books.create(Self.charge(id), fate: .init(), now: 0) }
    await Self.expectRefusal(422, "exceeds_charge") { _ = try await Self.refund(books, "1", of: "a", 101) }
    #expect(try await Self.refund(books, "1", of: "a", 60) == 60)
    await Self.expectRefusal(422, "exceeds_charge") { _ = try await Self.refund(books, "2", of: "a", 41) }
    #expect(try await Self.refund(books, "2", of: "a", 40) == 40)
    await Self.expectRefusal(422, "exceeds_charge") { _ = try await Self.refund(books, "3", of: "a", 1) }
    #expect(try await Self.refund(books, "4", of: "b", 100) == 100, "another charge is another matter")
    let returned = try await books.listing(of: ["a"]).refunds.map(\.amount)
    #expect(returned.sorted() == [40, 60])
  }

  @Test func aRefundIsOnePerNumber() async throws {
    let books = try Self.books()
    for id in ["a", "b"] { _ = try await books.create(Self.charge(id), fate: .init(), now: 0) }
    for _ in 1...3 { #expect(try await Self.refund(books, "1", of: "a", 60) == 60) }
    await Self.expectRefusal(409, "content_mismatch") { _ = try await Self.refund(books, "1", of: "a", 59) }
    await Self.expectRefusal(409, "content_mismatch") { _ = try await Self.refund(books, "1", of: "b", 60) }
    #expect(try await books.listing().refunds.map(\.amount) == [60])
  }

  /// What is bounded is what was taken, and not what was asked for.
  @Test func onlyWhatWasTakenGoesBack() async throws {
    let books = try Self.books()
    _ = try await books.create(Self.charge("more"), fate: .init(capturesWrongAmount: true), now: 0)
    #expect(try await Self.refund(books, "1", of: "more", 101) == 101)
    for (id, method) in [("waiting", "action"), ("declined", "declined"), ("slow", "slow")] {
      _ = try await books.create(Self.charge(id, method), fate: .init(), now: 0)
      await Self.expectRefusal(409, "not_paid") { _ = try await Self.refund(books, "r-\(id)", of: id, 1) }
    }
    await Self.expectRefusal(404, "not_found") { _ = try await Self.refund(books, "r", of: "none", 1) }
    #expect(try await books.listing().refunds.map(\.amount) == [101])
  }

  /// Invariant 3 rests on it: a number is one charge, and what was closed unseen takes no money.
  @Test func aNumberIsOneCharge() async throws {
    let books = try Self.books()
    for round in 1...3 {
      let made = try await books.create(Self.charge("a"), fate: .init(), now: Int64(round))
      #expect(made.charge.captured_at == 1 && made.changed == (round == 1))
    }
    await Self.expectRefusal(409, "content_mismatch") {
      _ = try await books.create(Self.charge("a", "declined"), fate: .init(), now: 4)
    }
    await Self.expectRefusal(409, "already_paid") { _ = try await books.close("a", fate: .init(), now: 5) }
    #expect(try await books.close("unseen", fate: .init(), now: 6).charge.status == .closed)
    #expect(try await books.create(Self.charge("unseen"), fate: .init(), now: 7).charge.status == .closed)
    #expect(try await books.listing().charges.filter { $0.status == "succeeded" }.map(\.id) == ["a"])
  }
}
