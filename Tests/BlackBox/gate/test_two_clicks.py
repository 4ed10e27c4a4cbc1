"""The classic demo: the same payment asked for again, in every way that people find."""

import uuid

import pytest

from support.gate import charges_of, web
from support.machine import together


def test_one_after_the_other(gate):
    order = gate.order()
    first = gate.pay(order, key="a")
    again = gate.pay(order, key="a")
    other = gate.pay(order, key="b")
    assert first.status_code == 201 and first.json()["status"] == "succeeded"
    assert again.status_code == 201 and again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    assert other.status_code == 409 and other.json()["code"] == "order_paid"
    assert other.json()["payment"] == first.json()
    assert len(gate.bank.taken(order)) == 1
    now = gate.now(order)
    assert now["status"] == "paid" and now["payment"] == first.json() and now["duplicates_prevented"] == 1
    # A bank that is slow to answer makes a doubt of it for a while.
    assert [it for it in gate.types(order) if it != "payment.unknown"] == [
        "order.created", "payment.started", "payment.succeeded", "order.paid", "duplicate.prevented"]


@pytest.mark.parametrize("method", ["ok", "slow", "action"])
def test_fifty_at_once_with_one_key(gate, method):
    order = gate.order()
    answers = together(50, lambda n: gate.pay(order, key="same", method=method))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert sum("idempotency-replayed" not in a.headers for a in answers) == 1
    assert len(charges_of(order, gate.bank.books())) == 1
    assert gate.now(order)["duplicates_prevented"] == 0


@pytest.mark.parametrize("method", ["ok", "slow", "action"])
def test_fifty_at_once_with_fifty_keys(gate, method):
    order = gate.order()
    answers = together(50, lambda n: gate.pay(order, key=f"key {n}", method=method))
    codes = sorted(a.status_code for a in answers)
    assert codes == [201] + [409] * 49
    winner = next(a for a in answers if a.status_code == 201).json()
    assert {a.json()["payment"]["id"] for a in answers if a.status_code == 409} == {winner["id"]}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"payment_in_progress", "order_paid"}
    assert len(charges_of(order, gate.bank.books())) == 1
    assert gate.now(order)["duplicates_prevented"] == 49
    assert gate.types(order).count("duplicate.prevented") == 49


def test_api_and_checkout_token_mixed(gate):
    order = gate.order()

    def click(number):
        key = "shared" if number % 4 < 2 else f"own-{number}"
        if number % 2:
            return gate.pay(order, key=key)
        return web.post(
            order["checkout_url"] + "/payments", headers={"Idempotency-Key": key}, timeout=40,
            json={"provider": "sandbox", "method": "ok"})

    answers = together(50, click)
    assert {a.status_code for a in answers} <= {201, 409}
    ids = {(a.json().get("payment") or a.json())["id"] for a in answers}
    assert len(ids) == 1
    assert gate.bank.kept(order) == 1999 and len(gate.bank.taken(order)) == 1
    assert gate.now(order)["status"] == "paid"


def test_the_same_key_on_two_orders_is_two_payments(gate):
    orders = [gate.order(), gate.order()]
    answers = [gate.pay(order, key="one key") for order in orders]
    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert [gate.bank.kept(order) for order in orders] == [1999, 1999]


def test_the_same_key_with_other_content(gate):
    order = gate.order()
    gate.pay(order, key="a", method="action")
    answer = gate.pay(order, key="a", method="ok")
    assert answer.status_code == 422 and answer.json()["code"] == "idempotency_key_reused"


def test_a_quoted_key_is_the_bare_one(gate):
    order = gate.order()
    assert gate.pay(order, key='"a b"').json()["id"] == gate.pay(order, key="a b").json()["id"]


def test_registering_twice_is_one_order(gate):
    reference = str(uuid.uuid4())
    body = {"reference": reference, "amount": 5, "currency": "JPY", "metadata": {"b": "2", "a": "1"}}
    answers = together(20, lambda n: gate.call("POST", "/v1/orders", json=body))
    assert sorted(a.status_code for a in answers) == [200] * 19 + [201]
    assert len({a.json()["id"] for a in answers}) == 1
    other = gate.call("POST", "/v1/orders", json={**body, "amount": 6})
    assert other.status_code == 409 and other.json()["code"] == "reference_reused"
    assert "amount" in other.json()["detail"]


def test_switching_the_method(gate):
    order = gate.order()
    first = gate.pay(order, key="1", method="action").json()
    assert first["next_action"]["type"] == "redirect"
    assert gate.pay(order, key="2", method="ok").json()["code"] == "payment_in_progress"
    closed = gate.call("POST", f"/v1/payments/{first['id']}/close")
    assert closed.status_code == 200 and closed.json()["status"] == "closed" and closed.json()["next_action"] is None
    second = gate.pay(order, key="3", method="ok")
    assert second.status_code == 201 and second.json()["status"] == "succeeded"
    gate.bank.cashier(first, "pay")
    assert len(gate.bank.taken(order)) == 1


def test_a_declined_try_leaves_the_order_open(gate):
    order = gate.order()
    declined = gate.pay(order, key="1", method="declined")
    assert declined.status_code == 201 and declined.json()["status"] == "failed"
    assert declined.json()["failure"]["code"] == "declined"
    assert gate.now(order)["status"] == "open"
    assert gate.pay(order, key="2").json()["status"] == "succeeded"


def test_refunds(gate):
    order = gate.order()
    payment = gate.pay(order).json()
    path = f"/v1/payments/{payment['id']}/refunds"

    def refund(key, **body):
        return gate.call("POST", path, headers={"Idempotency-Key": key}, json=body)

    answers = together(20, lambda n: refund("half", amount=1000))
    assert {a.status_code for a in answers} == {201} and len({a.json()["id"] for a in answers}) == 1
    assert refund("half", amount=999).json()["code"] == "idempotency_key_reused"
    assert refund("too much", amount=1000).json()["code"] == "refund_exceeds_payment"
    rest = refund("rest", reason="the pot was broken")
    assert rest.status_code == 201 and rest.json()["amount"] == 999 and rest.json()["status"] == "succeeded"
    assert refund("more").json()["code"] == "refund_exceeds_payment"
    assert gate.now(order)["amount_refunded"] == 1999
    assert gate.bank.kept(order) == 0 and len(gate.bank.returned(order)) == 2
    assert [r["id"] for r in gate.get(path)["data"]] == [answers[0].json()["id"], rest.json()["id"]]
