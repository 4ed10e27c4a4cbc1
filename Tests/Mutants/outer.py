#!/usr/bin/env python3
"""Deliberate faults in the outer rooms, each of which a test must find: `make mutants`.

    python3 Tests/Mutants/outer.py [-j JOBS] [--list] [WORD ...]

The faults stand in `outer/*.toml`. All of them are put into one copy of the tree, each behind a number in the
environment (`PAYONCE_MUTANT`), and built once. Then, fault by fault, the tests of the targets that depend on the faulty
one run until the first of them fails, and after them the black-box tests that the fault names. With words, only faults
run whose name has one. Which test found what is printed, and written to `docs/internals/mutants.md`. Exits 1 when one
survives, and 2 when one does not fit the sources any more.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTS = Path(__file__).resolve().parent / "outer"
PAGE = next(ROOT.glob("docs/**/mutants.md"), None)
WORK = ROOT / ".build-mutants"
TREE, SCRATCH = WORK / "outer", WORK / "outer-build"
# Far more than the tests of any target take: a fault that lets one wait for ever is found, too.
LIMIT = 180

SWITCH = """
import Glibc

/// Which deliberate fault is on, if one is.
enum Mutant {
  private static let number = getenv("PAYONCE_MUTANT").flatMap { Int(String(cString: $0)) }
  private static let texts: [Int: (right: String, faulty: String)] = [TEXTS]

  static func isOn(_ fault: Int) -> Bool { fault == number }

  /// A script or a page, with the fault in it that is on, if it is one of its own.
  static func edited(_ bytes: [UInt8]) -> [UInt8] {
    guard let number, let text = texts[number] else { return bytes }
    let right = Array(text.right.utf8)
    guard let start = bytes.indices.first(where: { bytes[$0...].starts(with: right) }) else { return bytes }
    return Array(bytes[..<start]) + Array(text.faulty.utf8) + Array(bytes[(start + right.count)...])
  }
}
"""


class Unfit(Exception):
    """The list does not fit the sources."""


def read_lists():
    faults, hooks = [], []
    for file in sorted(LISTS.glob("*.toml")):
        content = tomllib.loads(file.read_text())
        hooks += content.get("hook", [])
        for fault in content.get("fault", []):
            wrong = set(fault) - {"name", "file", "right", "faulty", "as", "blackbox", "tests"}
            if wrong or not {"name", "file", "right", "faulty"} <= set(fault):
                raise Unfit(f"{file.name}: {fault.get('name', fault)} has {wrong or 'not all that it needs'}")
            faults.append({"as": "expression", "blackbox": [], **fault, "list": file.stem, "number": len(faults) + 1})
    names = collections.Counter(fault["name"] for fault in faults)
    if twice := [name for name, count in names.items() if count > 1]:
        raise Unfit(f"named twice: {twice}")
    return faults, hooks


def place_of(name, text, sources):
    """The one file of this name that has this text once. A text that was moved is found where it stands alone."""
    counts = {path: sources[path].count(text) for path in sources if path.name == name}
    if list(counts.values()) != [1]:
        counts = {path: count for path in sources if (count := sources[path].count(text))}
    if list(counts.values()) != [1]:
        found = ", ".join(f"{count} times in {path.name}" for path, count in counts.items())
        raise Unfit(f"{name} does not have it any more, and it stands {found or 'nowhere'}: {text}")
    return next(iter(counts))


def replacement(right, faults):
    """What stands for a text of which these are the faults."""
    kinds = {fault["as"] for fault in faults}
    if kinds == {"expression"}:
        chain = "".join(f"Mutant.isOn({fault['number']}) ? ({fault['faulty']}) : " for fault in faults)
        return f"({chain}({right}))"
    if kinds == {"statement"}:
        chain = "".join(f"if Mutant.isOn({fault['number']}) {{ {fault['faulty']} }} else " for fault in faults)
        return f"{chain}{{ {right} }}"
    if kinds == {"text"} and len(faults) == 1 and "IS_ON" in faults[0]["faulty"]:
        return re.sub(r"\bIS_ON\b", f"Mutant.isOn({faults[0]['number']})", faults[0]["faulty"])
    raise Unfit(f"these cannot stand in one place: {[fault['name'] for fault in faults]}")


def mutate(faults, hooks):
    """The text of every file with all faults in it, and the texts of scripts with theirs, by number."""
    kinds = (".swift", ".js", ".mustache", ".css")
    sources = {path: path.read_text() for path in (ROOT / "Sources").rglob("*") if path.suffix in kinds}
    edits, scripts, unfit = collections.defaultdict(lambda: collections.defaultdict(list)), {}, []
    for fault in faults:
        try:
            path = place_of(fault["file"], fault["right"], sources)
        except Unfit as error:
            unfit.append(f"{fault['name']}: {error}")
            continue
        fault["target"], fault["file"] = path.relative_to(ROOT / "Sources").parts[0], path.name
        if path.suffix == ".swift":
            edits[path][fault["right"]].append(fault)
        else:
            scripts[fault["number"]] = (fault["right"], fault["faulty"])
    if unfit:
        raise Unfit("\n".join(unfit))
    texts = {}
    for path, places in edits.items():
        texts[path] = splice(path, {right: replacement(right, those) for right, those in places.items()})
    for hook in hooks:
        path = place_of(hook["file"], hook["right"], sources)
        texts[path] = texts.get(path, path.read_text()).replace(hook["right"], hook["with"])
    return texts, scripts


def splice(path, replacements):
    text = path.read_text()
    places = sorted((text.index(right), right) for right in replacements)
    for (start, right), (following, other) in zip(places, places[1:]):
        if start + len(right) > following:
            raise Unfit(f"these overlap in {path.name}: {right} / {other}")
    for start, right in reversed(places):
        text = text[:start] + replacements[right] + text[start + len(right):]
    return text


def write(place, text):
    # What did not change keeps its time, so that only what did is built again.
    if not place.exists() or place.read_bytes() != text:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text)
    return place


def build(faults, hooks):
    """Puts the faults into the copy and builds it; returns where the products are."""
    texts, scripts = mutate(faults, hooks)
    kept = set()
    for folder in ("Sources", "Tests", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "BlackBox" not in path.parts and "__pycache__" not in path.parts:
                text = texts[path].encode() if path in texts else path.read_bytes()
                kept.add(write(TREE / path.relative_to(ROOT), text))
    pairs = [f"{number}: ({json.dumps(right)}, {json.dumps(faulty)})" for number, (right, faulty) in scripts.items()]
    # As Swift writes it, and not JSON.
    table = re.sub(r"\\u([0-9a-f]{4})", r"\\u{\1}", ", ".join(pairs)) or ":"
    for target in {path.relative_to(ROOT / "Sources").parts[0] for path in texts}:
        text = SWITCH.replace("TEXTS", table if any("Mutant.edited" in it for it in texts.values()) else ":")
        kept.add(write(TREE / "Sources" / target / "Mutant.swift", text.encode()))
    # A mutated line may be one of which the compiler warns.
    manifest = (ROOT / "Package.swift").read_text().replace("  .treatAllWarnings(as: .error),\n", "")
    kept.add(write(TREE / "Package.swift", manifest.encode()))
    if (ROOT / "Package.resolved").exists():
        kept.add(write(TREE / "Package.resolved", (ROOT / "Package.resolved").read_bytes()))
    for path in TREE.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
    swift = ["swift", "build", "--package-path", TREE, "--scratch-path", SCRATCH]
    answer = subprocess.run([*swift, "--build-tests"], capture_output=True, text=True)
    if answer.returncode:
        errors = {line: None for line in (answer.stdout + answer.stderr).splitlines() if " error: " in line}
        raise Unfit("it does not build:\n" + "\n".join(errors))
    shown = subprocess.run([*swift, "--show-bin-path"], check=True, capture_output=True, text=True)
    return Path(shown.stdout.strip())


def tests_of_targets():
    """The test targets of each target: those that name it, or else those of the targets that do."""
    shown = subprocess.run(
        ["swift", "package", "--package-path", TREE, "--scratch-path", SCRATCH, "describe", "--type", "json"],
        check=True, capture_output=True, text=True)
    targets = json.loads(shown.stdout)["targets"]

    def naming(name, kinds):
        return [it["name"] for it in targets if it["type"] in kinds and name in it.get("target_dependencies", [])]

    tests = {it["name"]: naming(it["name"], ["test"]) for it in targets}
    for name in [name for name, own in tests.items() if not own]:
        tests[name] = sorted({test for user in naming(name, ["library"]) for test in tests[user]})
    return tests


def run(command, environment, pattern, limit=LIMIT):
    """Runs a command until a line of it fits, or it ends.

    Returns what the line says, or how it ended badly; None when it ended well.
    """
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=environment, cwd=ROOT, start_new_session=True)
    watch = threading.Timer(limit, lambda: os.killpg(process.pid, signal.SIGKILL))
    watch.start()
    began, found = time.monotonic(), None
    for line in process.stdout:
        if match := re.search(pattern, re.sub(r"\x1b\[[0-9;]*m", "", line)):
            found = match[1] or f"no test at all ({match[0]})"
            break
    if found and process.poll() is None:
        # Its children, too: what it started is not needed any more.
        os.killpg(process.pid, signal.SIGTERM)
    process.stdout.close()
    code = process.wait()
    watch.cancel()
    if found or code == 0:
        return found
    if time.monotonic() - began >= limit:
        return f"no end within {limit} s"
    return f"a crash ({code})"


class Trial:
    """What every fault is tried with."""

    def __init__(self, products, postgres):
        self.program = products / "payonce"
        self.bundle = next(products.glob("*PackageTests.xctest"))
        self.tests = tests_of_targets()
        self.environment = {**os.environ, "PAYONCE_PROGRAM": str(self.program), "PAYONCE_TEST_POSTGRES": postgres}
        self.environment.pop("PAYONCE_MUTANT", None)

    def swift(self, target, environment):
        return run(
            [self.bundle, "--testing-library", "swift-testing", "--filter", f"^{target}\\."], environment,
            # Where nothing fits the filter, nothing was tested.
            r"✘ Test (.+?) (?:recorded an issue|failed after)|Test run with (0) tests")

    def blackbox(self, names, environment, *options, limit=LIMIT):
        files = {file for file in (ROOT / "Tests/BlackBox").rglob("test_*.py")
                 if any(re.search(rf"^def {name}\(", file.read_text(), re.M) for name in names)}
        missing = [name for name in names if not any(f"def {name}(" in file.read_text() for file in files)]
        if missing:
            raise Unfit(f"there are no tests called {missing}")
        pytest = [ROOT / ".build/python/bin/pytest", "-x", "-q", "--color=no", "-p", "no:cacheprovider"]
        return run([*pytest, *options, *sorted(files), "-k", " or ".join(names)], environment,
                   r"^(?:FAILED|ERROR) \S+::(\w+)", limit)

    def targets(self, fault):
        targets = fault.get("tests", self.tests[fault["target"]])
        if not targets and not fault["blackbox"]:
            raise Unfit(f"nobody tests {fault['target']}: {fault['name']}")
        return targets

    def find(self, fault):
        """Which test finds it; None when none does."""
        environment = {**self.environment, "PAYONCE_MUTANT": str(fault["number"])}
        for target in self.targets(fault):
            if found := self.swift(target, environment):
                return f"{target}: {found}"
        if fault["blackbox"] and (found := self.blackbox(fault["blackbox"], environment)):
            return f"BlackBox: {found}"
        return None

    def check_right(self, faults, jobs):
        """Without a fault everything passes, or a failure would say nothing."""
        targets = sorted({target for fault in faults for target in self.targets(fault)})
        names = sorted({name for fault in faults for name in fault["blackbox"]})
        for target in targets:
            if failed := self.swift(target, self.environment):
                raise Unfit(f"without a fault {target} fails: {failed}")
        if names and (failed := self.blackbox(names, self.environment, "-n", str(jobs), limit=10 * LIMIT)):
            raise Unfit(f"without a fault a black-box test fails: {failed}")


def write_page(results, faults):
    """Puts what was found into the page's table; what was not tried this time stays as it stands there."""
    head, mark, old = PAGE.read_text().partition("## What found what\n")
    rows = {name: row for row, name in re.findall(r"^(\| (.+?) \| `.*)$", old, re.M)}
    for fault, found in results:
        rows[fault["name"]] = f"| {fault['name']} | `{fault['file']}` | {found or '**nothing**'} |"
    lines = ["| fault | in | found by |", "|---|---|---|"]
    lines += [rows.get(it["name"], f"| {it['name']} | `{it['file']}` | not tried yet |") for it in faults]
    PAGE.write_text(f"{head}{mark}\n" + "\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), help="how many are tried at once")
    parser.add_argument("--list", action="store_true", help="only look whether all of them still fit the sources")
    parser.add_argument("words", nargs="*", help="only faults whose name has one of these words")
    options = parser.parse_args()
    all_faults, hooks = read_lists()
    faults = [it for it in all_faults if not options.words or any(word in it["name"] for word in options.words)]
    if options.list:
        mutate(all_faults, hooks)
        print("\n".join(f"{fault['number']:>4}  {fault['list']:<10} {fault['name']}" for fault in faults))
        return 0
    products = build(all_faults, hooks)
    with tempfile.TemporaryDirectory() as folder:
        postgres = os.environ.get("PAYONCE_TEST_POSTGRES")
        own = not postgres
        if own:
            started = subprocess.run(
                [ROOT / "scripts/postgres.sh", "start", folder], check=True, capture_output=True, text=True)
            postgres = started.stdout.strip()
        try:
            trial = Trial(products, postgres)
            trial.check_right(faults, options.jobs)
            results, began = [], time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
                for fault, found in zip(faults, pool.map(trial.find, faults)):
                    print(f"{'found   ' if found else 'SURVIVES'}  {fault['name']}: {found or ''}", flush=True)
                    results.append((fault, found))
        finally:
            if own:
                subprocess.run([ROOT / "scripts/postgres.sh", "stop", folder], check=False)
    survivors = sum(1 for _, found in results if not found)
    print(f"{len(results) - survivors} found, {survivors} survive ({time.monotonic() - began:.0f} s)")
    if PAGE:
        write_page(results, all_faults)
    return 1 if survivors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unfit as error:
        print(error, file=sys.stderr)
        sys.exit(2)
