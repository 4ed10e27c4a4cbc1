"""The network between PayOnce and the bank at its worst. What counts is what the bank's books say."""

import random
import time
from datetime import datetime, timedelta

import pytest

from support.gate import web
from support.machine import together, until


def test_the_bank_takes_the_money_and_never_answers(gate):
    order = gate.order()
    first = gate.pay(order, key="1", method="lost", wait=0)
    assert first.status_code == 202 and first.json()["status"] == "processing"
    doubt = until(lambda: (lambda p: p if p["unknown_since"] or p["status"] == "succeeded" else None)(
        gate.get(f"/v1/payments/{first.json()['id']}")))
    second = gate.pay(order, key="2", method="ok")
    assert second.status_code == 409 and second.json()["payment"]["id"] == doubt["id"]
    paid = gate.until_status(order, "paid")
    assert paid["payment"]["unknown_since"] is None
    assert len(gate.bank.taken(order)) == 1


def test_doubt_is_a_stored_state(gate):
    # No notices, and the bank cannot be asked for a while: nobody knows.
    gate.bank.faults(lose_notice=1, lose_response=1)
    order = gate.order()
    payment = gate.pay(order, key="1", wait=0).json()
    until(lambda: gate.get(f"/v1/payments/{payment['id']}")["unknown_since"], what="the doubt")
    payment = gate.get(f"/v1/payments/{payment['id']}")
    assert payment["status"] == "processing" and payment["failure"] is None
    assert gate.now(order)["status"] == "open"
    assert "payment.unknown" in gate.types(order)
    assert gate.pay(order, key="1", wait=0).status_code == 202
    assert gate.pay(order, key="2", wait=0).json()["code"] == "payment_in_progress"
    gate.bank.faults(lose_notice=1)
    assert gate.until_status(order, "paid")["payment"]["id"] == payment["id"]
    assert len(gate.bank.taken(order)) == 1


def test_a_wait_asks_the_bank(gate):
    gate.bank.faults(lose_notice=1)
    order = gate.order()
    payment = gate.pay(order, method="action").json()
    gate.bank.cashier(payment, "pay")
    path = f"/v1/payments/{payment['id']}"
    assert gate.get(path + "?wait=10")["status"] == "succeeded"


def test_who_only_looks_has_nobody_asked(gate):
    """Pages look all the time, and the schedule is not theirs. With `wait`, even of no time, the bank is asked."""
    gate.bank.faults(lose_notice=1)
    order = gate.order()
    gate.pay(order, method="action")

    def look(query=""):
        view = web.get(order["checkout_url"] + "/status" + query).raise_for_status().json()
        return [at and datetime.fromisoformat(at) for at in (view["now"], view["next_check_at"])]

    def looks():
        now, check = look()
        if not check or check - now < timedelta(seconds=1.5):
            return False
        again, same = look()
        return again < check and (same, check)

    same, check = until(looks, 40, "a question that is two seconds away")
    assert same == check
    now, check = look("?wait=0")
    assert not check or check - now < timedelta(seconds=1.1)


def test_check_asks_the_bank(gate):
    gate.bank.faults(lose_notice=1)
    order = gate.order()
    payment = gate.pay(order, method="action").json()
    gate.bank.cashier(payment, "decline")
    # One question may be lost, where the machine stands still.
    until(lambda: gate.call("POST", f"/v1/payments/{payment['id']}/check").json()["status"] == "failed", what="an answer")


STORMS = {
    "lost requests": dict(lose_request=0.5),
    "lost answers": dict(lose_response=0.5),
    "500s": dict(fail_500=0.6),
    "slow": dict(latency_ms=[0, 2500]),
    "doubled and late notices": dict(duplicate_notice=1, delay_notice_ms=[0, 3000]),
    "no notices, invisible at first": dict(lose_notice=1, visible_after_ms=2500),
    "everything": dict(lose_request=0.2, lose_response=0.2, fail_500=0.2, latency_ms=[0, 600], duplicate_notice=0.5,
                       lose_notice=0.5, delay_notice_ms=[0, 2000], visible_after_ms=400),
}


@pytest.mark.parametrize("name", STORMS)
def test_storm(gate, name):
    gate.bank.faults(seed=7, **STORMS[name])
    dice = random.Random(name)
    orders = [gate.order() for _ in range(12)]
    methods = {order["id"]: dice.choice(["ok", "ok", "slow", "lost"]) for order in orders}
    clicks = [order for order in orders for _ in range(3)]
    together(len(clicks), lambda n: gate.pay(clicks[n], key=f"key {n % 2}", method=methods[clicks[n]["id"]], wait=1))
    # Most find their way through it. How long the last one takes is up to the dice, so that one may have it calm.
    storm_ends = time.monotonic() + 30
    until(lambda: time.monotonic() > storm_ends or all(gate.now(order)["status"] == "paid" for order in orders), 60)
    gate.bank.faults()
    for order in orders:
        assert gate.until_status(order, "paid", 120)["status"] == "paid"
        assert len(gate.bank.taken(order)) == 1, order["id"]
        assert gate.bank.kept(order) == 1999
        numbers = [event["sequence"] for event in gate.events(order)]
        assert numbers == list(range(1, len(numbers) + 1))


def test_the_wrong_amount_goes_back(gate):
    gate.bank.faults(wrong_amount=1)
    order = gate.order()
    payment = gate.pay(order).json()
    assert payment["status"] == "succeeded" and payment["surplus"] == "mismatch"
    assert payment["amount_received"] == 2000
    until(lambda: gate.bank.kept(order) == 0, what="the return of the money")
    assert gate.now(order)["status"] == "open"
    assert "case.opened" in gate.types(order)
    gate.bank.faults()
    assert gate.pay(order).json()["surplus"] is None
    assert gate.bank.kept(order) == 1999
