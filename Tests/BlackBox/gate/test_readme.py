"""What README.md tells a shop to run, run as it stands there."""

import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime

from support.machine import ROOT, until


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
