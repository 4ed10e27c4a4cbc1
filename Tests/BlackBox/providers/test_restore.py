"""A store that was restored from an older copy: the providers are asked for the money that it forgot."""

import subprocess
from datetime import datetime, timedelta, timezone

from support.copies import copy_of, restore
from support.database import POSTGRES, change
from support.gate import running
from support.machine import PROGRAM, until


def find_forgotten(gate, since, *options):
    return subprocess.run(
        [str(PROGRAM), "find-forgotten", "--since", since, "--store", gate.store, "--bank", gate.bank.url, *options],
        capture_output=True, text=True, timeout=60)


def now(seconds=0):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_what_a_restore_forgot_is_found(tmp_path):
    with running(tmp_path) as gate:
        since = now()
        orders = {name: gate.order(reference=name) for name in ("paid", "open", "declined", "untouched", "left")}
        before = gate.pay(gate.order(reference="before"))
        assert before.json()["status"] == "succeeded"
        copy_of(gate, tmp_path)
        paid = gate.pay(orders["paid"]).json()
        assert paid["status"] == "succeeded"
        assert gate.pay(orders["open"], method="action").json()["status"] == "requires_action"
        assert gate.pay(orders["declined"], method="declined").json()["status"] == "failed"
        second = gate.pay(orders["declined"]).json()
        assert second["status"] == "succeeded"
        gate.process.kill()
        restore(gate, tmp_path)

        if not POSTGRES:
            # On the embedded store nobody else may write meanwhile.
            gate.start()
            answer = find_forgotten(gate, since)
            assert answer.returncode == 2 and "in use" in answer.stderr
            gate.process.kill()
        answer = find_forgotten(gate, since)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        # Two payments of the declined order; what was settled before the copy is not found again.
        assert answer.stdout.count("found  ") == 4, answer.stdout
        assert "asked about 6 orders; forgotten payments: 4, without an answer: 0" in answer.stdout
        again = find_forgotten(gate, since)
        assert "forgotten payments: 0" in again.stdout

        gate.start()
        assert gate.until_status(orders["paid"], "paid")["payment"]["id"] == paid["id"]
        assert gate.until_status(orders["declined"], "paid")["payment"]["id"] == second["id"]
        # What the buyer had begun is closed at the bank, and the order can be paid.
        until(lambda: [c["status"] for c in gate.bank.books()["charges"] if c["id"][4:30] == orders["open"]["id"][4:]]
              == ["closed"], what="a close")
        assert gate.now(orders["open"])["status"] == "open"
        for name in ("open", "untouched"):
            gate.pay(orders[name])
            gate.until_status(orders[name], "paid")
        for order in list(orders.values())[:4]:
            assert gate.bank.kept(order) == order["amount"], "each order keeps one payment"
        assert gate.now(orders["left"])["status"] == "open"


def test_money_of_an_order_that_ended_after_the_restore_goes_back(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()
        copy_of(gate, tmp_path)
        gate.pay(order)
        gate.process.kill()
        restore(gate, tmp_path)
        gate.start()
        assert gate.call("POST", f"/v1/orders/{order['id']}/close").json()["status"] == "closed"
        if not POSTGRES:
            gate.process.kill()
        answer = find_forgotten(gate, now(-60))
        assert answer.returncode == 0 and "took 19.99 CNY" in answer.stdout, answer.stdout
        if not POSTGRES:
            gate.start()
        until(lambda: gate.bank.kept(order) == 0 and gate.bank.returned(order), what="a refund")


def test_a_bank_that_does_not_answer_is_told(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()
        gate.process.kill()
        gate.bank.faults(fail_500=1)
        answer = find_forgotten(gate, now(-60))
        assert answer.returncode == 1 and "no answer" in answer.stdout and "run it again" in answer.stdout
        gate.bank.faults()
        assert find_forgotten(gate, now(-60)).returncode == 0
        assert find_forgotten(gate, "yesterday").returncode == 2
        assert find_forgotten(gate, now(60)).returncode == 2
        assert find_forgotten(gate, now(-120), "--until", now(-60)).stdout.startswith("asked about 0 orders")
        gate.start()
        assert gate.get(f"/v1/orders/{order['id']}/payments")["data"] == []


def test_an_order_that_cannot_be_read_does_not_end_it(tmp_path):
    with running(tmp_path) as gate:
        since = now()
        copy_of(gate, tmp_path)
        spoilt, order = gate.order(), gate.order()
        gate.pay(order)
        gate.process.kill()
        change(gate, f"UPDATE orders SET currency = 'zzz' WHERE reference = '{spoilt['reference']}'")
        answer = find_forgotten(gate, since)
        assert answer.returncode == 1 and f"unreadable  {spoilt['id']}" in answer.stdout, answer.stdout + answer.stderr
        assert "asked about 1 orders" in answer.stdout and "orders that cannot be read: 1" in answer.stdout


def test_nothing_is_sent_by_it(tmp_path):
    """It is no server: what is due stays due, whatever bank it was given."""
    with running(tmp_path) as gate:
        order = gate.order()
        gate.bank.process.kill()
        gate.pay(order, wait=0)
        gate.process.kill()
        gate.bank.start()
        answer = find_forgotten(gate, now(-60))
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert gate.bank.books()["charges"] == []
        gate.start()
        gate.until_status(order, "paid", 90)
        assert gate.bank.kept(order) == order["amount"]
