import Foundation
import PaymentCore
import PaymentEngine
import Testing

/// Merchants, their marks and origins, and keys.
extension StoreContractTests {
  @Test(arguments: StoreKind.all) func theDirectoryIsWrittenBesideALane(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let merchant = try await Self.merchant(open)
    let hash = (0..<32).map { UInt8($0) }
    for number in 0..<50 {
      let id = MerchantID("mer_\(number)")
      let key = StoredKey(
        id: "sk_\(number)", hash: hash, holder: .merchant(merchant, name: "tea"), createdAt: Self.now, revokedAt: nil)
      let now = Self.now.advanced(by: .milliseconds(number))
      // Asked for while a transaction is open.
      let tasks = try await open.store.write(Self.order(merchant, "\(number)", at: now).changes, locking: []) {
        () async throws in
        let added = Task { try await open.directory.merchant(named: "\(number)", id: id) }
        let keyed = Task { try await open.directory.add(key) }
        for _ in 0..<5 { #expect(try await open.directory.merchant(merchant) != nil) }
        return (added, keyed)
      }
      #expect(try await tasks.0.value == id)
      try await tasks.1.value
    }
    #expect(try await open.directory.keys().count == 50)
    #expect(try await open.directory.merchants().count == 51)
    #expect(try await open.reading.orders(of: merchant, status: nil, after: nil, limit: 1000).count == 50)
  }

  @Test(arguments: StoreKind.all) func aStoreSaysWhichItIs(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let id = try await open.directory.storeID()
    #expect(id.count == 16 && id.allSatisfy { "0123456789abcdef".contains($0) })
    #expect(try await open.again().directory.storeID() == id)
    if open.count != nil { #expect(try await kind.open().directory.storeID() != id) }
  }

  @Test(arguments: StoreKind.all) func aMerchantCanBeShownByAnotherName(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, cups) = (try await Self.merchant(open), try await Self.merchant(open, "cups"))
    #expect(try await open.directory.merchant(tea)?.shownName == "tea")
    try await open.directory.setDisplayName("Little Tea Shop 小茶铺", of: tea)
    try await open.directory.setOrigin("https://a.example", of: tea, allowed: true)
    let shown = Merchant(id: tea, name: "tea", displayName: "Little Tea Shop 小茶铺", origins: ["https://a.example"])
    #expect(try await open.again().directory.merchant(tea) == shown)
    #expect(try await open.directory.merchants() == [Merchant(id: cups, name: "cups", origins: []), shown])
    #expect(try await open.directory.merchant(named: "tea", id: MerchantID("mer_x")) == tea, "it is found as before")
    try await open.directory.setDisplayName(nil, of: tea)
    #expect(try await open.directory.merchant(tea)?.shownName == "tea")
  }

  @Test(arguments: StoreKind.all) func aMerchantCanHaveAMark(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let (tea, cups) = (try await Self.merchant(open), try await Self.merchant(open, "cups"))
    #expect(try await open.directory.mark(of: tea) == nil)
    #expect(try await open.directory.mark(of: MerchantID("mer_none")) == nil)
    // Every byte, and as many as may be.
    let mark = Mark([0xFF, 0xD8, 0xFF] + (3..<Mark.limit).map { UInt8(truncatingIfNeeded: $0) })
    #expect(mark != nil)
    try await open.directory.setMark(mark, of: tea)
    #expect(try await open.again().directory.mark(of: tea) == mark)
    #expect(try await open.directory.mark(of: cups) == nil)
    #expect(try await open.directory.merchants().map(\.hasMark) == [false, true])
    try await open.directory.setMark(nil, of: tea)
    #expect(try await open.directory.mark(of: tea) == nil)
    #expect(try await open.directory.merchant(tea)?.hasMark == false)
  }

  @Test func aMarkIsASmallPicture() {
    let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    #expect(Mark(png)?.form == .png)
    #expect(Mark(Array("RIFF1234WEBPVP8 ".utf8))?.form == .webp)
    #expect(Mark([0xFF, 0xD8, 0xFF, 0xE0])?.form == .jpeg)
    for wrong in ["", "RIFF", "RIFF1234WAVE", "<svg xmlns='http://www.w3.org/2000/svg'/>", "GIF89a"] {
      #expect(Mark(Array(wrong.utf8)) == nil)
    }
    #expect(Mark(Array(png.dropLast())) == nil)
    #expect(Mark(png + [UInt8](repeating: 0, count: Mark.limit - png.count + 1)) == nil)
  }

  @Test(arguments: StoreKind.all) func originsAreTheMerchantsOwn(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let tea = try await Self.merchant(open)
    let cups = try await open.directory.merchant(named: "cups", id: MerchantID("mer_cups"))
    for origin in ["https://b.example", "https://a.example", "https://a.example"] {
      try await open.directory.setOrigin(origin, of: tea, allowed: true)
    }
    try await open.directory.setOrigin("https://b.example", of: cups, allowed: true)
    try await open.directory.setOrigin("https://c.example", of: cups, allowed: false)
    let both = ["https://a.example", "https://b.example"]
    #expect(try await open.directory.merchant(tea) == Merchant(id: tea, name: "tea", origins: both))
    try await open.directory.setOrigin("https://b.example", of: tea, allowed: false)
    #expect(
      try await open.again().directory.merchants() == [
        Merchant(id: cups, name: "cups", origins: ["https://b.example"]),
        Merchant(id: tea, name: "tea", origins: ["https://a.example"]),
      ])
  }

  @Test(arguments: StoreKind.all) func keysAreKeptByTheirHash(_ kind: StoreKind) async throws {
    let open = try kind.open()
    let tea = try await Self.merchant(open)
    #expect(try await open.directory.merchant(named: "tea", id: MerchantID("mer_other")) == tea)
    #expect(try await open.directory.merchant(tea) == Merchant(id: tea, name: "tea", origins: []))
    #expect(try await open.directory.merchant(MerchantID("mer_none")) == nil)

    let hash = (0..<32).map { UInt8($0) }
    let keys = [
      StoredKey(
        id: "sk_a", hash: hash, holder: .merchant(tea, name: "tea"), createdAt: Self.now, revokedAt: nil),
      StoredKey(
        id: "op_b", hash: hash, holder: .operator(name: "Ada"), createdAt: Self.now.advanced(by: .seconds(1)),
        revokedAt: nil),
    ]
    for key in keys { try await open.directory.add(key) }
    // Another process sees them at once.
    #expect(try await open.again().directory.keys() == keys)
    #expect(try await open.directory.key("sk_a") == keys[0])
    #expect(try await open.directory.key("sk_c") == nil)
    #expect(try await open.directory.revoke("sk_a", at: Self.now))
    #expect(try await !open.directory.revoke("sk_a", at: Self.now.advanced(by: .seconds(1))))
    #expect(try await !open.directory.revoke("sk_c", at: Self.now))
    #expect(try await open.directory.key("sk_a")?.revokedAt == Self.now)
    let other = StoredKey(
      id: keys[0].id, hash: Array(repeating: 9, count: 32), holder: keys[0].holder, createdAt: Self.now, revokedAt: nil)
    await #expect(throws: Fault.conflict) { try await open.directory.add(other) }
  }
}
