import Foundation
import PaymentEngine
import Providers

/// The secret with which the sandbox bank signs its notices. Whoever knows it can claim that an order is paid.
struct BankSecret {
  let text: String
  let verifier: StandardWebhookVerifier

  private init(_ text: String) throws {
    guard let verifier = StandardWebhookVerifier(secret: text) else {
      throw SetupError("PAYONCE_BANK_SECRET must be whsec_ and at least 16 bytes in base 64.")
    }
    self.text = text
    self.verifier = verifier
  }

  /// The secret of a bank in the gate's own process. Nobody else needs it, so it is new at each start unless the
  /// environment sets one.
  /// - Parameter isPrivate: whether only this machine can reach the gate.
  /// - Throws: as `ofOthers`, if the environment sets one.
  static func ofOneProcess(isPrivate: Bool) throws -> BankSecret {
    if Setting.value(nil, .bankSecret) != nil { return try ofOthers(isPrivate: isPrivate) }
    let randomness = SystemRandomness()
    let bytes = (0..<4).flatMap { _ in withUnsafeBytes(of: randomness.next()) { Array($0) } }
    return try BankSecret("whsec_" + Data(bytes).base64EncodedString())
  }

  /// The secret of a bank that is another program: the environment's, or the default.
  /// - Parameter isPrivate: whether only this machine can reach the bank and the gate.
  /// - Throws: when it is malformed, or when it is the default, which everybody knows, and `isPrivate` is false.
  static func ofOthers(isPrivate: Bool) throws -> BankSecret {
    let text = Setting.value(nil, .bankSecret) ?? SandboxProvider.defaultSecret
    guard isPrivate || text != SandboxProvider.defaultSecret else {
      throw SetupError(
        "Set PAYONCE_BANK_SECRET to one of your own, the same here and at the bank, such as "
          + "whsec_$(openssl rand -base64 24): everybody knows the default, which is taken only while bank and gate "
          + "can be reached from this machine alone.")
    }
    return try BankSecret(text)
  }
}

/// The parts of a gate that are for trying it out: the sandbox bank, with which everybody can pay everything, and the
/// demo shop, at which everybody can order.
struct Playground {
  let hasSandbox: Bool
  let hasDemo: Bool
  /// Whether only this machine can reach the gate.
  let isPrivate: Bool

  init(sandbox: String?, demo: String?, bank: String?, isPrivate: Bool) throws {
    let wantsSandbox = try Self.isOn(sandbox, .sandbox)
    hasSandbox = wantsSandbox ?? isPrivate
    hasDemo = try Self.isOn(demo, .demo) ?? (hasSandbox && isPrivate)
    self.isPrivate = isPrivate
    guard hasSandbox || !hasDemo else { throw SetupError("--demo on needs the sandbox bank: say --sandbox on too.") }
    guard hasSandbox || bank == nil || wantsSandbox != nil else {
      throw SetupError(
        "--bank names a sandbox bank, which is off on a gate that others can reach. Say --sandbox on to use it: with it "
          + "everybody can pay everything.")
    }
  }

  /// The warnings for the operator.
  var remarks: [String] {
    if isPrivate { return [] }
    return
      (hasSandbox
      ? ["the sandbox bank is on, and others can reach the gate: with it everybody can pay everything; --sandbox off"]
      : [
        "no provider is on: others can reach the gate, so that the sandbox bank and the demo are off unless --sandbox on and --demo on say otherwise"
      ])
      + (hasDemo ? ["the demo shop is on, and others can reach the gate: everybody can order in it; --demo off"] : [])
  }

  private static func isOn(_ option: String?, _ name: Setting.Name) throws -> Bool? {
    switch Setting.value(option, name) {
    case nil: return nil
    case "on": return true
    case "off": return false
    case let other?: throw SetupError("\(Setting.source(option, name)) must be on or off. It is: \(other)")
    }
  }
}
