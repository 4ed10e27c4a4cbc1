"""What README.md tells a shop to run, run as it stands there."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime

from support.gate import running
from support.machine import PROGRAM, ROOT, until


@contextmanager
def reading(folder, gate, name):
    """The README's reader of the feed, in a folder of its own."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    out = folder / f"{name}.out"
    with out.open("w") as file:
        reader = subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, stdout=file, stderr=subprocess.STDOUT,
            env={"GATE": gate.url, "KEY": gate.new_key("reader"), "PATH": ""})
        try:
            yield lambda: [line.removeprefix("ship ") for line in out.read_text().splitlines()]
        finally:
            reader.kill()
            reader.wait(20)


def test_the_feed_is_read_and_nothing_is_missed_or_shipped_twice(gate, tmp_path):
    key = gate.new_key("reader")

    def paid(reference):
        order = gate.call("POST", "/v1/orders", key=key, json={"reference": reference, "amount": 5, "currency": "CNY"}).json()
        headers = {"Idempotency-Key": "k", "Prefer": "wait=30"}
        payments = f"/v1/orders/{order['id']}/payments"
        body = {"provider": "sandbox", "method": "ok"}
        assert gate.call("POST", payments, key=key, headers=headers, json=body).status_code == 201
        return reference

    gate.call("POST", "/v1/orders", key=key, json={"reference": "never paid", "amount": 5, "currency": "CNY"})
    first = [paid(f"A-{number}") for number in range(3)]
    with reading(tmp_path, gate, "first") as shipped:
        until(lambda: shipped() == first, what=f"the first three: {shipped()}")
        more = paid("A-3")
        until(lambda: shipped() == [*first, more], what="one that is paid meanwhile")
        cursor = gate.call("GET", "/v1/events?limit=1000", key=key).json()["next"]
        until(lambda: (tmp_path / "cursor.txt").read_text() == cursor, what="the cursor behind it")
    away = paid("A-4")
    with reading(tmp_path, gate, "second") as shipped:
        until(lambda: shipped() == [away], what="what was paid while nobody read, alone")
    # Months later all of that is in an archive, and the cursor was lost.
    (tmp_path / "cursor.txt").unlink()
    subprocess.run(
        [PROGRAM, "archive", "--older-than", "0", "--even-recent", "--to", tmp_path / "old.jsonl", "--store", gate.store],
        check=True, capture_output=True)
    with reading(tmp_path, gate, "third") as shipped:
        until(lambda: any("not in the feed any more" in line for line in shipped()), what="that something is missing")
        last = paid("A-5")
        until(lambda: shipped()[-1] == last, what="and what comes then")


def test_a_deadline_is_what_the_readme_says(gate):
    readme = (ROOT / "README.md").read_text()
    assert "**15 minutes**" in readme and "60 to 2,592,000" in readme
    order = gate.order()

    def seconds(name):
        return datetime.fromisoformat(order[name]).timestamp()

    assert seconds("expires_at") - seconds("created_at") == 15 * 60
    for expires_in, status in ((59, 400), (60, 201), (2_592_000, 201), (2_592_001, 400)):
        body = {"reference": f"{order['id']} {expires_in}", "amount": 5, "currency": "CNY", "expires_in": expires_in}
        assert gate.call("POST", "/v1/orders", json=body).status_code == status
    assert gate.call("POST", f"/v1/orders/{order['id']}/reopen", json={"expires_in": 900}).status_code == 200


def is_shown(shown, answer):
    """Whether that is the answer, as far as it is not left out (`…`). A long one stands there in several lines."""
    shown = re.sub(r"\n +", "", shown).strip()
    try:
        # The bank's books are in no order.
        shown, answer = (json.dumps(json.loads(it), sort_keys=True, ensure_ascii=False) for it in (shown, answer))
    except ValueError:
        pass
    # Ids begin with their time.
    return re.search(".*".join(map(re.escape, re.split("(?:01m8)?…", shown))), answer, re.S)


def test_five_minutes_with_curl(tmp_path):
    """Each block of commands as it stands there, in one shell; what stands under one is what it says."""
    section = (ROOT / "README.md").read_text().split("## Five minutes with curl\n")[1].split("\n## ")[0]
    blocks = [re.sub("^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .*\n)+", section, re.M)]
    path, _, first = blocks[0].partition("\n")
    assert path == "export PATH=$PWD/.build/release:$PATH"
    steps = [[first, ""]]
    for block in blocks[1:]:
        if block.startswith(("{", "HTTP", '"')):
            steps[-1][1] = block
        else:
            steps.append([block, ""])
    # Its time-out is that of a gate whose operator said nothing.
    with running(tmp_path, call_timeout=10) as gate:
        def own(text):
            return text.replace("127.0.0.1:8080", f"127.0.0.1:{gate.port}").replace("127.0.0.1:8090", f"127.0.0.1:{gate.bank.port}")

        script = "set -eu\n" + "\necho; echo ======\n".join(command for command, _ in steps)
        said = subprocess.run(
            ["bash", "-c", own(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "PAYONCE_STORE": gate.store})
        assert said.returncode == 0, said.stderr
        answers = said.stdout.split("\n======\n")
        assert len(answers) == len(steps)
        for answer, (command, shown) in zip(answers, steps):
            assert is_shown(own(shown), answer.replace("\r", "")), f"{command}\nsays\n{answer}\nand not\n{shown}"
        # Before the last block broke the network, or under it.
        until(lambda: [it["amount"] for it in gate.bank.books()["refunds"]] == [500], 60, "what goes back")
        assert [it["status"] for it in gate.bank.books()["charges"]] == ["succeeded"]
