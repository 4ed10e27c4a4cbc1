#!/usr/bin/env python3
"""The proof that the proof can fail: deliberate faults in our own logic, each of which the simulation must find.

    python3 Tests/Mutants/mutants.py [NAME ...]

Each fault is a small change of a copy of the sources, built in .build-mutants and run over seeds 1 to 3000. Printed is
after how many worlds it was found, and by which invariant, and what the small model says where it has what the fault
needs. Exits 1 when one is missed, by the worlds or by the model, or when one no longer fits the sources.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / ".build-mutants" / "tree"
TARGETS = ["PaymentCore", "PaymentEngine", "Simulation", "simulate"]
SEEDS = int(os.environ.get("PAYONCE_MUTANT_SEEDS", "3000"))

WIRE = "SimulatedProvider.swift"

# name: (file, what stands there, what stands there instead, and so on in pairs)
MUTANTS = {
    "each attempt has a trade number of its own": (
        WIRE, "case (.charge, _): return .create(call)",
        "case (.charge, _): return .create(call.renumbered(call.payment.ordinal + 10 * call.number))"),
    "a trade number is not the order's and an ordinal": (
        WIRE, "case (.charge, _): return .create(call)",
        "case (.charge, _): return .create(call.renumbered("
        "1 + Int(call.expiresAt.milliseconds % 1000)))"),
    "a time-out is a failure": (
        "Decider+Evidence.swift", "case .unknown(let reason): doubt(index, reason)",
        "case .unknown(let reason): return end(index, failure: Failure(code: \"timeout\", message: reason))"),
    "not found is closed": (
        "Decider+Evidence.swift", "case .notFound: break", "case .notFound: return end(index)"),
    "every refusal is final": (
        "Decider+Evidence.swift", "if isFirst, sheet.finalRejections.contains(failure.code) {",
        "if isFirst || !sheet.methods.isEmpty {"),
    "the next payment begins before the close is confirmed": (
        "Decider+Payments.swift", "if order.payments[index].requestClose(now: now), !order.payments[index].mayHaveLeft { end(index) }",
        "if order.payments[index].requestClose(now: now), !order.payments[index].mayHaveLeft || order.status == .open {\n"
        "      end(index)\n"
        "    }"),
    "nobody asks about the earlier payment": (
        "Due.swift", "payments.allSatisfy { !$0.isWatched || $0.calls.answeredAskAt != nil }",
        "payments.allSatisfy { $0.isWatched || !$0.isWatched }"),
    "a payment under way does not hold the next one back": (
        "Decider+Evidence.swift", "if verdict.finding == .pending {",
        "if verdict.finding == .pending, payment.isLive {"),
    "a charge that is put off goes by old answers": (
        "Decider+Evidence.swift",
        "return order.askWatched(at: order.payments[index].calls.nextAt ?? now)", "return"),
    "leases are not respected": (
        "CallState.swift", "until: now.advanced(by: schedule.lease))",
        "until: now.advanced(by: .milliseconds(1) + schedule.leaseMargin / 100_000))"),
    "money is moved again while it may be leaving": (
        "CallState.swift", "movingUntil = now.advanced(by: schedule.moving)",
        "movingUntil = now.advanced(by: schedule.lease)"),
    "a wrong clock decides": (
        "Timekeeper.swift", "if error != nil { throw .clockWrong }",
        "if error != nil, tolerance < .zero { throw .clockWrong }"),
    "an order that the shop closed is opened again": (
        "Decider+Orders.swift", "case (_, .expired?): break", "case (_, .expired?), (.closed, .cancelled?): break"),
    "a close of an expired order changes nothing": (
        "Decider+Orders.swift", "case .closed where order.closeReason == .expired:",
        "case .closed where order.closeReason == .expired && order.payments.isEmpty:"),
    "nobody comes back for a lapsed lease": (
        "CallState.swift", "return lease?.until ?? nextAt", "return lease == nil ? nextAt : nil"),
    "calls leave before the commit": (
        "Lane.swift", "        return (batch.changeset, (answers, batch.published))",
        "        dispatcher.enqueue(calls, leasedAt: uptime)\n"
        "        return (batch.changeset, (answers, batch.published))"),
    "an unknown commit counts as one": (
        "Lane.swift", "    var (calls, opened): ([Call], [Case]) = ([], [])\n",
        "    var (calls, opened): ([Call], [Case]) = ([], [])\n    var made: ([Result<Answer, Fault>], [Order]) = ([], [])\n",
        "return (batch.changeset, (answers, batch.published))",
        "made = (answers, batch.published)\n        return (batch.changeset, made)",
        "      dispatcher.release(calls)\n      throw error\n",
        "      guard error == .unknownCommit else {\n        dispatcher.release(calls)\n        throw error\n      }\n"
        "      listeners.publish(made.1)\n      dispatcher.enqueue(calls, leasedAt: uptime)\n      return made.0\n"),
    "an order that others hold counts as none": (
        "Lane.swift", "if let scope, held.contains(scope) { return .failure(.conflict) }\n",
        "if let scope, held.contains(scope), loaded.orders.isEmpty { return .failure(.conflict) }\n"),
    "an old notice overwrites newer truth": (
        "Decider+Evidence.swift", "} else if payment.isLive {",
        "} else if payment.isLive || payment.status == .succeeded {"),
    "success after an end is not taken": (
        "Decider+Evidence.swift", "      if payment.status != .succeeded {\n", "      if payment.isLive {\n"),
    "the amount is not looked at": (
        "Decider+Evidence.swift", "if received != payment.amount { return .mismatch }",
        "if received.currency != payment.amount.currency { return .mismatch }"),
    "a second payment is kept": (
        "Decider+Evidence.swift", "case (.paid, _): return .duplicate",
        "case (.paid, _): return order.refunds.isEmpty ? .duplicate : nil"),
    "money for an order that the shop closed is kept": (
        "Decider+Evidence.swift", "case (.closing, _), (.closed, _): return .late",
        "case (.closing, _), (.closed, _): return nil"),
    "surplus is not returned": (
        "Decider+Evidence.swift",
        "guard due > 0 else { return }", "guard due > 1_000_000 else { return }"),
    "a refund that is asked for again has a new number": (
        WIRE, "case (.refund, let refund?): return .refund(refund.number, of: trade, refund.amount)",
        "case (.refund, let refund?):\n"
        "      let fresh = RefundNumber(bits: refund.number.bits &+ UInt128(call.number))\n"
        "      return .refund(fresh, of: trade, refund.amount)"),
    "a refund's number is its place among the others": (
        "Decider+Refunds.swift", "if let key { return rules.numbering.refund(of: trade, key) }",
        "if key != nil { return RefundNumber(bits: trade.order.bits &+ UInt128(order.refunds.count)) }"),
    "an order that is registered again has another number": (
        "SimulatedProvider.swift", "case (.charge, _): return .create(call)",
        "case (.charge, _): return .create(call.renumbered(\n"
        "      1 + Int(truncatingIfNeeded: call.payment.order.bits >> 80) % 900))"),
    "forgotten money is late after its deadline": (
        "Decider+Evidence.swift", "let wasInTime = !payment.mayHaveLeft &&", "let wasInTime = payment.isLive &&"),
    "what ended unsent is not looked for after a restore": (
        "ForgottenPayments.swift", "if isOwner, order.payment(id).map({ $0.isLive || $0.isWatched }) ?? false { continue }",
        "if isOwner, order.payment(id)?.status != .succeeded { continue }"),
    "known refunds are not asked about after a restore": (
        "ForgottenPayments.swift", "where refund.payment == payment.id && refund.status != .processing {",
        "where refund.payment == payment.id && refund.status != .processing && refund.key?.text == \"\" {"),
    "refunds of surplus money are not looked for after a restore": (
        "ForgottenPayments.swift", "for earlier in 0..<Self.gap {", "for earlier in 0..<(Self.gap - 5) {"),
    "refunds do not reserve their amount": (
        "Order.swift", "$0.payment == payment.id && $0.status != .failed }",
        "$0.payment == payment.id && $0.status == .succeeded }"),
    "a soft close is not watched": (
        "Decider+Evidence.swift", "return end(index, watchUntil: payment.expiresAt.advanced(by: rules.schedule.watchMargin))",
        "let watch = payment.expiresAt.advanced(by: rules.schedule.watchMargin)\n"
        "      return end(index, watchUntil: watch < now ? watch : nil)"),
    "late money is not waited for": (
        "Decider+Evidence.swift", "let late = sheet.lateMoney[payment.method].map { now.advanced(by: $0 + rules.schedule.watchMargin) }",
        "let late = sheet.lateMoney[payment.method].flatMap { $0 < .zero ? now : nil }"),
    "a forgotten key is used again": (
        "Due.swift", "return now.since(first.at) < repeatWindow",
        "return now.since(first.at) < repeatWindow * 100"),
    "a decline is an end": (
        "Decider+Evidence.swift",
        "      order.payments[index].decline(failure)\n      known(index, action: action)",
        "      order.payments[index].decline(failure)\n      known(index, action: action)\n      return end(index)"),
    "the deadline closes nothing": (
        "Decider+Time.swift", "if order.status == .open, now >= order.expiresAt { startClosing(.expired) }",
        "if order.status == .open, now >= order.expiresAt, order.payments.isEmpty { startClosing(.expired) }"),
    "a repeat of a key that failed is a new payment": (
        "Decider+Payments.swift", "let earlier = order.payments.first { $0.key == key }",
        "let earlier = order.payments.first { $0.key == key && $0.status != .failed }"),
}

# Those that the small model must find, too, and with how many faults of the surroundings.
FOUND_BY_MODEL = {
    "a time-out is a failure": 1,
    "not found is closed": 1,
    "every refusal is final": 1,
    "the next payment begins before the close is confirmed": 0,
    "nobody asks about the earlier payment": 0,
    "a payment under way does not hold the next one back": 0,
    "a charge that is put off goes by old answers": 1,
    "money is moved again while it may be leaving": 1,
    "nobody comes back for a lapsed lease": 1,
    "an old notice overwrites newer truth": 0,
    "success after an end is not taken": 0,
    "surplus is not returned": 0,
    "a soft close is not watched": 0,
    "late money is not waited for": 0,
    "a forgotten key is used again": 1,
    "a decline is an end": 0,
    "the deadline closes nothing": 0,
    "a repeat of a key that failed is a new payment": 0,
}

# Those that only the small model sees: the auditor of the worlds gives everybody five seconds to know.
FOUND_BY_MODEL_ALONE = {"a charge that is put off goes by old answers"}

# What a wrong trade number is made with.
RENUMBERED = """
extension Call {
  fileprivate func renumbered(_ ordinal: Int) -> Call {
    let other = Payment(
      id: payment, key: IdempotencyKey("k")!, provider: provider, method: method, askedMethod: nil, amount: amount,
      createdAt: expiresAt, expiresAt: expiresAt)
    let number = PaymentNumber(order: tradeNumber.order, ordinal: min(1023, ordinal))
    return Call(kind, of: other, number, description: description)
  }
}
"""


def fresh_copy():
    COPY.mkdir(parents=True, exist_ok=True)
    for target in TARGETS:
        for source in (ROOT / "Sources" / target).rglob("*.swift"):
            place = COPY / source.relative_to(ROOT)
            text = source.read_text()
            # What did not change keeps its time, so that only the mutated room is built again.
            if not place.exists() or place.read_text() != text:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text)
    manifest = (ROOT / "Package.swift").read_text()
    manifest = re.sub(r'(?s)  \.testTarget\(.*?swiftSettings: settings\),\n', "", manifest)
    manifest = manifest.replace("  .treatAllWarnings(as: .error),\n", "")
    if not (COPY / "Package.swift").exists() or (COPY / "Package.swift").read_text() != manifest:
        (COPY / "Package.swift").write_text(manifest)


def build():
    answer = subprocess.run(
        ["swift", "build", "-c", "release", "--product", "simulate", "--scratch-path", str(ROOT / ".build-mutants/build")],
        cwd=COPY, env={**os.environ, "PAYONCE_INNER": "1"}, capture_output=True, text=True)
    if answer.returncode:
        raise SystemExit("it does not build:\n" + "\n".join(
            line for line in answer.stdout.splitlines() if "error" in line))


def simulate():
    """Returns the summary's first line and which invariant broke, if one did."""
    program = ROOT / ".build-mutants/build/release/simulate"
    try:
        answer = subprocess.run([program, "1", str(SEEDS), "2"], capture_output=True, text=True, timeout=1800)
    except subprocess.TimeoutExpired:
        raise SystemExit("the worlds do not end") from None
    lines = answer.stdout.splitlines()
    broken = next((line for line in lines if re.match(r"seed \d+ breaks ", line)), None)
    if answer.returncode not in (0, 1):
        raise SystemExit("the worlds crash: " + answer.stderr[:300])
    return lines[0] if lines else "", broken


def check_model(faults):
    """What the small model says when so many faults of the surroundings may happen; `None` when nothing breaks."""
    program = ROOT / ".build-mutants/build/release/simulate"
    try:
        answer = subprocess.run([program, "model", str(faults)], capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        return None
    if answer.returncode not in (0, 1):
        raise SystemExit(f"the small model crashes: {answer.stderr[:300]}")
    head, _, rest = answer.stdout.partition("\nBROKEN: ")
    kind, states = head.splitlines()[-1].split(": ")
    return f"{states.split(' ')[0]} states, {faults} faults, {kind}: {rest.splitlines()[0]}" if rest else None


def main(names):
    unknown = set(names) - set(MUTANTS)
    if unknown:
        raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}")
    shutil.rmtree(COPY, ignore_errors=True)
    missed = []
    for name in names or MUTANTS:
        file, *changes = MUTANTS[name]
        fresh_copy()
        [place] = COPY.rglob(file)
        text = place.read_text()
        for before, after in zip(changes[::2], changes[1::2]):
            if text.count(before) != 1:
                raise SystemExit(f"'{name}' does not fit {file} any more: found {text.count(before)} times: {before}")
            text = text.replace(before, after) + (RENUMBERED if "renumbered" in after else "")
        place.write_text(text)
        build()
        began = time.monotonic()
        head, broken = simulate() if name not in FOUND_BY_MODEL_ALONE else ("-", "by the small model alone")
        worlds = head.split(" ", 1)[0] or "?"
        spent = time.monotonic() - began
        faults = FOUND_BY_MODEL.get(name)
        model = None if faults is None else check_model(faults)
        print(f"{'found ' if broken else 'MISSED'} after {worlds:>4} worlds  {name}: {broken or ''}"
              f" ({spent:.0f} s; small model: {model or '-'})", flush=True)
        if not broken or faults is not None and model is None:
            missed.append(name)
    print(f"{len(names or MUTANTS) - len(missed)} passed, {len(missed)} failed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
