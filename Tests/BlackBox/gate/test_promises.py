"""What a shop was told stays true: closes, reopened orders, refunds, and a crash in the middle of a payment."""

import signal
import time
import uuid

import httpx

from support.gate import running
from support.machine import together, until


def reopen(gate, order, **fields):
    return gate.call("POST", f"/v1/orders/{order['id']}/reopen", json=fields)


def refund(gate, payment, amount, key=None, **fields):
    headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Prefer": "wait=30"}
    body = {"amount": amount, **fields}
    return gate.call("POST", f"/v1/payments/{payment['id']}/refunds", headers=headers, json=body)


def test_an_order_that_is_not_over_cannot_be_reopened(gate):
    order = gate.order()
    now = reopen(gate, order, expires_in=600)
    assert now.status_code == 200 and now.json()["expires_at"] == order["expires_at"], "an open order is as it is"
    gate.pay(order)
    assert reopen(gate, order).json()["code"] == "order_paid"
    other = gate.order()
    gate.call("POST", f"/v1/orders/{other['id']}/close")
    refused = reopen(gate, other)
    assert (refused.status_code, refused.json()["code"]) == (409, "order_closed")
    assert reopen(gate, order, expires_in=1).status_code == 400
    assert gate.call("POST", "/v1/orders/ord_00000000000000000000000000/reopen").status_code == 404


def test_expired_orders(tmp_path):
    """They wait together, since a deadline is at least a minute away."""
    with running(tmp_path) as gate:
        # Three, one after the other: a machine that stands still for two seconds lets the money come before the close.
        lates = [gate.order(expires_in=seconds, late_payment="accept") for seconds in (60, 66, 72)]
        again = gate.order(expires_in=60)
        payments = {order["id"]: gate.pay(order, method="late").json() for order in lates}
        waiting = gate.pay(again, method="action").json()
        closed = []
        for order in lates:
            gate.until_status(order, ("closed", "paid"), 90)
            answer = gate.call("POST", f"/v1/orders/{order['id']}/close")
            if answer.status_code == 200:
                assert answer.json()["close_reason"] == "cancelled"
                closed.append(order)
        assert closed, "the money came before every close"
        for order in closed:
            payment = payments[order["id"]]
            until(lambda: gate.bank.taken(order), 30, "late money")  # noqa: B023 - it is called at once
            until(lambda: gate.bank.kept(order) == 0, 60, "its return")  # noqa: B023
            assert gate.get(f"/v1/payments/{payment['id']}")["surplus"] == "late"
            now = gate.now(order)
            assert (now["status"], now["close_reason"]) == ("closed", "cancelled")
            assert gate.types(order).count("order.closed") == 2

        assert gate.until_status(again, "closed")["close_reason"] == "expired"
        assert gate.pay(again).json()["code"] == "order_closed"
        now = reopen(gate, again, expires_in=600)
        assert now.status_code == 200 and now.json()["status"] == "open" and now.json()["close_reason"] is None
        assert now.json()["checkout_url"] == again["checkout_url"]
        assert gate.pay(again).json()["status"] == "succeeded"
        assert gate.now(again)["status"] == "paid"
        assert [c["id"] for c in gate.bank.taken(again)] != [waiting["id"]]
        assert "order.reopened" in gate.types(again)


def test_two_clerks_return_the_same_cup(gate):
    order = gate.order()
    payment = gate.pay(order).json()
    assert (payment["amount_refunded"], payment["amount_refundable"]) == (0, 1999)
    assert payment["captured_at"] == gate.bank.taken(order)[0]["captured_at"]
    answers = together(2, lambda n: refund(gate, payment, 500, expected_refunded=0))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    refused = next(answer for answer in answers if answer.status_code == 409).json()
    assert refused["code"] == "refund_state_changed"
    assert [it["amount"] for it in refused["refunds"]] == [500]
    assert refused["payment"]["amount_refundable"] == 1499
    now = gate.get(f"/v1/payments/{payment['id']}")
    assert (now["amount_refunded"], now["amount_refundable"]) == (500, 1499)
    assert [it["amount"] for it in gate.bank.returned(order)] == [500]
    assert refund(gate, payment, 500, expected_refunded=500).status_code == 201
    assert gate.bank.kept(order) == 999


def test_a_robot_that_tries_cards(gate):
    order = gate.order()
    tries = 0
    while (answer := gate.pay(order, method="declined")).status_code == 201:
        tries += 1
        assert tries < 100, "nobody stops it"
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_payments")
    assert 0 < int(answer.headers["retry-after"]) <= 10
    assert tries == 5
    assert gate.types(order)[-1] == "payment.throttled"
    view = gate.call("GET", order["checkout_url"].removeprefix(gate.url) + "/status").json()
    assert view["methods"] == [] and view["retry_at"]
    # The buyer has only to wait.
    until(lambda: gate.pay(order).status_code == 201, 30, "the end of the pause")
    assert gate.now(order)["status"] == "paid"


def test_a_robot_that_orders_anew_for_each_card(tmp_path):
    with running(tmp_path) as gate:
        def try_to_pay(order, address, form=False, method="declined", key=None, told="10.0.0.1"):
            headers = {"X-Forwarded-For": f"{told}, {address}".encode(), "Accept-Language": "en"}
            url, key = f"{order['checkout_url']}/payments", key or str(uuid.uuid4())
            if form:
                with httpx.Client(headers=headers, follow_redirects=True, timeout=40) as browser:
                    return browser.post(url, data={"idempotency_key": key, "method": f"sandbox:{method}"})
            body = {"provider": "sandbox", "method": method}
            return httpx.post(url, json=body, headers={**headers, "Idempotency-Key": key}, timeout=40)

        held = gate.order()
        assert try_to_pay(held, "203.0.113.7", method="action", key="held").json()["status"] == "requires_action"
        # What was not declined does not count.
        for _ in range(40):
            assert try_to_pay(gate.order(), "203.0.113.7", method="ok").json()["status"] == "succeeded"
        declined = 0
        while (answer := try_to_pay(gate.order(), "203.0.113.7")).status_code == 201:
            declined += 1
            assert declined <= 30, "nobody stops it"
        assert declined == 30
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_payments")
        assert 500 < int(answer.headers["retry-after"]) <= 600
        order = gate.order()
        # The proxy's word is the last, whatever the robot writes before it.
        assert try_to_pay(order, "203.0.113.7", told="é").status_code == 429
        page = try_to_pay(order, "203.0.113.7", form=True)
        assert "Too many tries to pay were made from your connection" in page.text
        assert page.text.count('id="braked" role="status" >') == 1, "it is shown"
        # A repeat, and a press beside a payment that is under way, are answered as ever.
        assert try_to_pay(held, "203.0.113.7", method="action", key="held").headers["idempotency-replayed"] == "true"
        assert try_to_pay(held, "203.0.113.7", method="ok").json()["code"] == "payment_in_progress"
        # Its neighbour, the shop itself, and whoever's address nobody knows.
        assert try_to_pay(order, "203.0.113.8").status_code == 201
        assert gate.pay(order).json()["status"] == "succeeded"


def test_what_a_crash_left_behind_is_asked_about_at_once(tmp_path):
    with running(tmp_path, log_level="info", call_timeout=10) as gate:
        gate.bank.faults(latency_ms=[5000, 5000], lose_notice=1)
        order = gate.order()
        gate.pay(order, wait=0)
        until(lambda: gate.bank.taken(order), 30, "a charge")
        gate.process.kill(signal.SIGKILL)
        gate.bank.faults()
        gate.start()
        begun = time.monotonic()
        gate.until_status(order, "paid", 60)
        took = time.monotonic() - begun
        # With several nodes nobody can know that this one is dead; they ask after twice the time that a call may take.
        assert took < (10 if gate.store.startswith("sqlite") else 30)
        assert len(gate.bank.taken(order)) == 1
