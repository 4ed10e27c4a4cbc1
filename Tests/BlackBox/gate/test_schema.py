"""Stock schemathesis against openapi.json and a running server: what the document allows is taken, what it does not allow
is refused, and every answer is one that it names. PAYONCE_SCHEMA_SEED repeats a run."""

import os
import subprocess
import sys
from pathlib import Path

from support.gate import running
from support.machine import ROOT

TOOL = Path(sys.executable).with_name("schemathesis")


def seed():
    """Of this commit, unless one is wished for: every change is tried in a way of its own, and the same way again."""
    wished = os.environ.get("PAYONCE_SCHEMA_SEED")
    if wished:
        return wished
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return str(int(commit.stdout[:8] or "1", 16))


def test_the_document_is_what_the_server_does(tmp_path):
    number = seed()
    print(f"\nschemathesis: PAYONCE_SCHEMA_SEED={number}", flush=True)
    with running(tmp_path) as gate:
        run = subprocess.run(
            [str(TOOL), "run", f"{gate.url}/openapi.json", "--header", f"Authorization: Bearer {gate.key}",
             "--seed", number, "--max-examples", "10", "--no-color"],
            cwd=ROOT, capture_output=True, text=True, timeout=240,
            # Its own store of examples would make a run depend on the runs before it.
            env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "hypothesis")})
        assert run.returncode == 0, f"seed {number}\n{run.stdout[-8000:]}\n{run.stderr[-2000:]}"
        assert gate.process.process.poll() is None
    print(run.stdout[run.stdout.index("Test cases:"):], flush=True)
