// swift-tools-version: 6.2
import PackageDescription

// With PAYONCE_INNER=1 the outer targets and everything they depend on are left out, so that the rooms in
// which payments are decided build and test in seconds (`make inner`).
let inner = Context.environment["PAYONCE_INNER"] != nil

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .treatAllWarnings(as: .error),
]

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

var dependencies: [Package.Dependency] = [
  .package(url: "https://github.com/apple/swift-log.git", exact: "1.16.2")
]

var products: [Product] = []

var targets: [Target] = [
  .target(name: "PaymentCore", swiftSettings: settings),
  .target(name: "PaymentEngine", dependencies: ["PaymentCore", logging], swiftSettings: settings),
  .target(name: "Simulation", dependencies: ["PaymentCore", "PaymentEngine", logging], swiftSettings: settings),
  .testTarget(name: "HouseTests", swiftSettings: settings),
  .testTarget(name: "PaymentCoreTests", dependencies: ["PaymentCore"], swiftSettings: settings),
  .testTarget(
    name: "PaymentEngineTests", dependencies: ["PaymentCore", "PaymentEngine", "Simulation", logging],
    swiftSettings: settings),
]

if inner {
  // Optimised alone, it is there in seconds; elsewhere it is a command of the program.
  targets += [.executableTarget(name: "simulate", dependencies: ["Simulation"], swiftSettings: settings)]
} else {
  let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
  let sqlite = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
  let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
  let client = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
  let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
  let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
  let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
  let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
  let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
  let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
  let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
  let nio = [nioCore, nioHTTP1, .product(name: "NIOPosix", package: "swift-nio")]
  let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")

  dependencies += [
    .package(url: "https://github.com/apple/swift-argument-parser.git", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto.git", exact: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types.git", exact: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras.git", exact: "1.35.2"),
    .package(url: "https://github.com/groue/GRDB.swift.git", exact: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird.git", exact: "2.28.1", traits: []),
    .package(url: "https://github.com/hummingbird-project/swift-mustache.git", exact: "2.1.1"),
    .package(url: "https://github.com/swift-server/async-http-client.git", exact: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", exact: "2.13.0"),
  ]
  products += [.executable(name: "payonce", targets: ["payonce"])]
  targets += [
    .target(name: "Contract", dependencies: ["PaymentCore"], swiftSettings: settings),
    .testTarget(name: "ContractTests", dependencies: ["PaymentCore", "Contract"], swiftSettings: settings),
    .target(name: "OrderRows", dependencies: ["PaymentCore", "PaymentEngine", crypto], swiftSettings: settings),
    .target(
      name: "SQLiteStore", dependencies: ["PaymentCore", "PaymentEngine", "OrderRows", grdb, sqlite],
      swiftSettings: settings),
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .target(
      name: "PostgresStore", dependencies: ["PaymentCore", "PaymentEngine", "OrderRows", "CLibPQ"],
      swiftSettings: settings),
    .testTarget(
      name: "StoreTests",
      dependencies: ["PaymentCore", "PaymentEngine", "OrderRows", "PostgresStore", "SQLiteStore", "Simulation", grdb],
      exclude: ["Samples"], swiftSettings: settings),
    .target(
      name: "Providers", dependencies: ["PaymentCore", "PaymentEngine", crypto, client, httpTypes] + nio,
      swiftSettings: settings),
    .testTarget(
      name: "ProvidersTests", dependencies: ["PaymentCore", "PaymentEngine", "Providers", client] + nio,
      swiftSettings: settings),
    .target(
      name: "Site",
      dependencies: [
        "PaymentCore", "PaymentEngine", "Contract", crypto, hummingbird, httpTypes, logging, mustache, nioCore,
        nioHTTP1,
      ],
      resources: [.embedInCode("Pages")],
      swiftSettings: settings),
    .target(
      name: "API",
      dependencies: ["PaymentCore", "PaymentEngine", "Contract", "Site", hummingbird, httpTypes, logging, nioCore],
      resources: [.embedInCode("OpenAPI")],
      swiftSettings: settings),
    .systemLibrary(name: "CQREncode", pkgConfig: "libqrencode", providers: [.apt(["libqrencode-dev"])]),
    .target(
      name: "Checkout",
      dependencies: [
        "PaymentCore", "PaymentEngine", "Contract", "Site", "CQREncode", hummingbird, httpTypes, mustache, nioCore,
      ],
      resources: [.embedInCode("Pages")],
      swiftSettings: settings),
    .target(
      name: "Demo",
      dependencies: ["PaymentCore", "PaymentEngine", "Contract", "Site", hummingbird, httpTypes, mustache, nioCore],
      resources: [.embedInCode("Pages")],
      swiftSettings: settings),
    .target(
      name: "Web", dependencies: ["PaymentEngine", "Site", "API", "Checkout", "Demo", hummingbird],
      swiftSettings: settings),
    .testTarget(
      name: "WebTests",
      dependencies: [
        "PaymentCore", "PaymentEngine", "Contract", "Simulation", "Site", "API", "Checkout", "Demo", "Web", hummingbird,
        httpTypes, logging, nioCore, nioEmbedded, .product(name: "HummingbirdTesting", package: "hummingbird"),
      ], swiftSettings: settings),
    .target(
      name: "Listener",
      dependencies: [
        hummingbirdCore, httpTypes, logging, .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
      ] + nio, swiftSettings: settings),
    .testTarget(
      name: "ListenerTests", dependencies: ["Listener", logging, nioEmbedded] + nio, swiftSettings: settings),
    .target(
      name: "Bank",
      dependencies: [hummingbird, hummingbirdCore, grdb, crypto, client, httpTypes, logging, lifecycle] + nio,
      swiftSettings: settings),
    .testTarget(name: "BankTests", dependencies: ["Bank", grdb], swiftSettings: settings),
    .systemLibrary(name: "CMalloc"),
    .systemLibrary(name: "CTimex"),
    .executableTarget(
      name: "payonce",
      dependencies: [
        "CMalloc", "CTimex",
        "PaymentCore", "PaymentEngine", "Contract", "OrderRows", "PostgresStore", "SQLiteStore", "Providers", "Site",
        "Demo", "Web",
        "Bank", "Listener", "Simulation",
        hummingbird, hummingbirdCore, client, httpTypes, logging, lifecycle, sqlite,
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ] + nio,
      swiftSettings: settings),
  ]
}

let package = Package(
  name: "payonce", products: products, dependencies: dependencies, targets: targets, swiftLanguageModes: [.v6])
