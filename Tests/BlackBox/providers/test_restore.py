"""A store that was restored from an older copy: the providers are asked for the money that it forgot."""

import json
import subprocess
from datetime import datetime, timedelta, timezone

from support.copies import copy_of, restore
from support.database import POSTGRES, change
from support.gate import charges_of, running, web
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
        assert "asked about 6 orders; forgotten payments and refunds: 4, without an answer: 0" in answer.stdout
        again = find_forgotten(gate, since)
        assert "forgotten payments and refunds: 0" in again.stdout

        gate.start()
        assert gate.until_status(orders["paid"], "paid")["payment"]["id"] == paid["id"]
        assert gate.until_status(orders["declined"], "paid")["payment"]["id"] == second["id"]
        # What the buyer had begun is closed at the bank, and the order can be paid.
        until(lambda: [c["status"] for c in charges_of(orders["open"], gate.bank.books())] == ["closed"], what="a close")
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


def until_refunded(gate, order):
    """The refunds of its payment, once none is under way."""
    at = f"/v1/payments/{gate.now(order)['payment']['id']}/refunds"
    until(lambda: all(it["status"] != "processing" for it in gate.get(at)["data"]), 60, "the refunds")
    return gate.get(at)["data"]


def refund(gate, order, key, amount=None, reason=None):
    at = f"/v1/payments/{gate.now(order)['payment']['id']}/refunds"
    body = {"amount": amount, "reason": reason}
    return gate.call("POST", at, json={k: v for k, v in body.items() if v}, headers={"Idempotency-Key": key, "Prefer": "wait=20"})


def test_an_order_that_is_registered_again_meets_its_charge(tmp_path):
    """Its page, too, and a buyer who comes back from the bank."""
    with running(tmp_path) as gate:
        since = now(-1)
        copy_of(gate, tmp_path)
        first = {name: gate.order(reference=name) for name in ("paid", "acting", "told")}
        gate.bank.faults(lose_notice=1)
        paid, acting = gate.pay(first["paid"]).json(), gate.pay(first["acting"], method="action").json()
        gate.pay(first["told"])
        gate.bank.faults()
        gate.process.kill()
        restore(gate, tmp_path)
        gate.start()
        # Nobody knows the order, and nobody is sent away to pay it once more.
        for address in (first["paid"]["checkout_url"], f"{gate.url}/return/{paid['number']}"):
            answer = web.get(address)
            assert answer.status_code == 404 and "do not pay again" in answer.text
        # The bank tells of money before the shop has said the order again.
        gate.bank.cashier(acting, "pay")
        stray = until(lambda: waiting(gate), what="a case")
        assert [it["reason"] for it in stray] == ["unknown_payment"]

        second = {name: gate.order(reference=name) for name in first}
        for name, order in second.items():
            assert order["id"] != first[name]["id"] and order["number"] == first[name]["number"]
        assert gate.until_status(second["acting"], "paid")["payment"]["number"] == acting["number"]
        assert waiting(gate) == [], "what waited for a person is settled"
        assert web.get(f"{gate.url}/return/{acting['number']}").status_code == 200
        # This one nobody told of. The buyer pays anew, and the charge is the same.
        assert gate.pay(second["paid"]).json()["number"] == paid["number"]
        gate.until_status(second["paid"], "paid")
        # And of this one an operator asks.
        if not POSTGRES:
            gate.process.kill()
        answer = find_forgotten(gate, since)
        assert answer.returncode == 0 and answer.stdout.count("found  ") == 1, answer.stdout + answer.stderr
        assert second["told"]["number"] + "01" in answer.stdout
        if not POSTGRES:
            gate.start()
        gate.until_status(second["told"], "paid")
        for order in second.values():
            assert len(gate.bank.taken(order)) == 1 and gate.bank.kept(order) == order["amount"]


def waiting(gate):
    """What waits for a person."""
    answer = subprocess.run(
        [str(PROGRAM), "stuck", "--json", "--store", gate.store], capture_output=True, text=True, timeout=60)
    return [it for it in json.loads(answer.stdout)["data"] if it["what"] == "case"]


def test_each_refund_is_done_once_in_whatever_order_it_is_asked_for_again(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()
        gate.pay(order)
        copy_of(gate, tmp_path)
        assert refund(gate, order, "A", 500, "A").json()["status"] == "succeeded"
        assert refund(gate, order, "B", 300, "B").json()["status"] == "succeeded"
        gate.process.kill()
        restore(gate, tmp_path)
        gate.start()
        assert gate.now(order)["amount_refunded"] == 0
        for key, amount in (("C", 100), ("B", 300), ("A", 500)):
            asked = refund(gate, order, key, amount, key)
            assert (asked.json()["status"], asked.json()["amount"]) == ("succeeded", amount), asked.text
        assert [it["amount"] for it in gate.bank.returned(order)] == [500, 300, 100]
        assert gate.now(order)["amount_refunded"] == 900 and waiting(gate) == []


def test_another_amount_under_the_same_key_is_told(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()
        gate.pay(order)
        copy_of(gate, tmp_path)
        refund(gate, order, "A", 500)
        gate.process.kill()
        restore(gate, tmp_path)
        gate.start()
        refund(gate, order, "A", 300)
        assert [(it["amount"], it["status"]) for it in until_refunded(gate, order)] == [(500, "succeeded")]
        assert [it["amount"] for it in gate.bank.returned(order)] == [500]
        assert [(it["reason"], it["note"]) for it in waiting(gate)] == [
            ("wrong_amount", "asked to return 3.00 CNY, returned 5.00 CNY")]


def test_forgotten_refunds_are_found_and_belong_to_their_keys(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()
        gate.pay(order)
        since = now(-60)
        copy_of(gate, tmp_path)
        refund(gate, order, "A", 500)
        gate.process.kill()
        restore(gate, tmp_path)
        answer = find_forgotten(gate, now(60 * 60), "--until", now(2 * 60 * 60), "--paid-since", since)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        number = gate.bank.returned(order)[0]["id"]
        assert f"{number} at sandbox: returned 5.00 CNY" in answer.stdout, answer.stdout
        again = find_forgotten(gate, since)
        assert "forgotten payments and refunds: 0" in again.stdout, again.stdout
        gate.start()
        assert gate.now(order)["amount_refunded"] == 500
        assert refund(gate, order, "B", 1600).json()["code"] == "refund_exceeds_payment"
        assert refund(gate, order, "A", 400).json()["code"] == "idempotency_key_reused"
        found = refund(gate, order, "A", 500)
        assert found.json()["number"] == number, found.text
        assert len(gate.bank.returned(order)) == 1


def test_money_that_was_taken_in_time_is_not_late_after_a_restore(tmp_path):
    """The shop may have been told that it was paid: nothing goes back by itself."""
    with running(tmp_path) as gate:
        order = gate.order(expires_in=60)
        copy_of(gate, tmp_path)
        gate.pay(order)
        gate.until_status(order, "paid")
        gate.process.kill()
        restore(gate, tmp_path)
        gate.start()
        gate.until_status(order, "closed", 90)
        if not POSTGRES:
            gate.process.kill()
        answer = find_forgotten(gate, now(-300))
        assert answer.returncode == 0 and "took 19.99 CNY" in answer.stdout, answer.stdout + answer.stderr
        if not POSTGRES:
            gate.start()
        gate.until_status(order, "paid")
        assert gate.bank.returned(order) == [] and gate.bank.kept(order) == order["amount"]
