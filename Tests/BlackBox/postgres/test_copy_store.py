"""From SQLite to PostgreSQL: everything is what it was, for shops, buyers and the bank."""

import subprocess

import pytest

from support.database import POSTGRES, new_database
from support.gate import running, web
from support.machine import PROGRAM, until

pytestmark = pytest.mark.skipif(not POSTGRES, reason="needs PostgreSQL")


def copy_store(source, target):
    return subprocess.run(
        [str(PROGRAM), "copy-store", "--from", source, "--to", target], capture_output=True, text=True, timeout=60)


def feed(gate):
    """All of it, page by page, with the cursors on the way."""
    events, after = [], ""
    while True:
        page = gate.get(f"/v1/events?limit=3{after and '&after=' + after}")
        events += page["data"]
        if not page["data"] or page["next"] is None:
            return events, after
        after = page["next"]


def test_everything_is_what_it_was(tmp_path):
    with running(tmp_path, store_folder=tmp_path) as gate:
        names = ("paid", "open", "refunded", "closed", "acting")
        odd = {"description": "a pound of ☕ \\ \" {,} NULL", "metadata": {"a": "'\"\\,{}"}}
        orders = {name: gate.order(reference=f"{name} \\ \" {{,}} NULL", **odd) for name in names}
        payments = {name: gate.pay(orders[name], key=f"k {name}").json() for name in ("paid", "refunded")}
        payments["acting"] = gate.pay(orders["acting"], method="action").json()
        gate.pay(orders["paid"], key="another")
        refund = gate.call(
            "POST", f"/v1/payments/{payments['refunded']['id']}/refunds", json={"amount": 500},
            headers={"Idempotency-Key": "back"}).json()
        gate.call("POST", f"/v1/orders/{orders['closed']['id']}/close")
        before = {name: gate.now(order) for name, order in orders.items()}
        history = {name: gate.events(order) for name, order in orders.items()}
        events, cursor = feed(gate)
        old, new = gate.store, new_database()
        allow = [str(PROGRAM), "origins", "allow", "--merchant", "shop", "https://shop.example", "--store", old]
        subprocess.run(allow, check=True)
        (tmp_path / "mark.jpeg").write_bytes(b"\xff\xd8\xff" + bytes(range(256)))
        mark = ["merchants", "set", "--merchant", "shop", "--mark", str(tmp_path / "mark.jpeg"), "--store", old]
        subprocess.run([str(PROGRAM), *mark], check=True)

        answer = copy_store(old, new)
        assert answer.returncode == 2 and "in use" in answer.stderr, "a server is running on it"
        gate.process.kill()
        assert copy_store(new, old).returncode == 2
        assert copy_store(f"sqlite:{tmp_path}/none.db", new).returncode == 2
        answer = copy_store(old, new)
        assert answer.returncode == 0, answer.stderr
        assert "orders\t5" in answer.stdout and "under_way\t2" in answer.stdout
        again = copy_store(old, new)
        assert again.returncode == 2 and "already" in again.stderr, "never into what is there"

        arguments = gate.process.arguments
        arguments[arguments.index("--store") + 1] = new
        gate.start()
        assert {name: gate.now(order) for name, order in orders.items()} == before
        assert {name: gate.events(order) for name, order in orders.items()} == history
        assert feed(gate)[0] == events
        asked = web.get(orders["open"]["checkout_url"] + "/status", headers={"Origin": "https://shop.example"})
        assert web.get(orders["open"]["checkout_url"] + "/mark").content == (tmp_path / "mark.jpeg").read_bytes()
        assert asked.headers["access-control-allow-origin"] == "https://shop.example"
        # A repeat is a repeat, and what was under way goes on.
        replay = gate.pay(orders["paid"], key="k paid")
        assert replay.headers["Idempotency-Replayed"] == "true" and replay.json()["id"] == payments["paid"]["id"]
        again = gate.call(
            "POST", f"/v1/payments/{payments['refunded']['id']}/refunds", json={"amount": 500},
            headers={"Idempotency-Key": "back"}).json()
        assert again["id"] == refund["id"]
        gate.bank.cashier(payments["acting"], "pay")
        gate.until_status(orders["acting"], "paid")
        # The feed goes on behind the old cursor.
        new_events = until(lambda: gate.get(f"/v1/events?limit=100&after={cursor}")["data"][-1:], what="an event")
        assert new_events[0]["order"] == orders["acting"]["id"]
        assert gate.pay(orders["open"]).json()["status"] == "succeeded"
        for name in ("paid", "open", "acting"):
            assert gate.bank.kept(orders[name]) == 1999
        assert gate.bank.kept(orders["refunded"]) == 1499


def test_a_copy_that_fails_leaves_nothing(tmp_path):
    with running(tmp_path, store_folder=tmp_path) as gate:
        for _ in range(3):
            gate.pay(gate.order())
        old, new = gate.store, new_database()
        gate.process.kill()
        assert copy_store(old, new).returncode == 0
        psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", new, "-c"]
        broken = "TRUNCATE merchants, keys, orders, wakes, under_way, events, feed, feeds; ALTER TABLE events ADD CHECK (sequence < 3)"
        subprocess.run([*psql, broken], check=True)
        answer = copy_store(old, new)
        assert answer.returncode == 2 and "Nothing was copied" in answer.stderr
        counts = subprocess.run([*psql, "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM keys)"],
                                check=True, capture_output=True, text=True)
        assert counts.stdout.strip() == "0"
