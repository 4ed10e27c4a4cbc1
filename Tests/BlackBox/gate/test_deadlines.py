"""Deadlines are at least a minute long, so these orders wait together."""

import time

from support.gate import running
from support.machine import until


def test_deadlines(tmp_path):
    with running(tmp_path) as gate:
        waiting = gate.order(expires_in=60)
        # Three, one after the other: a machine that stands still for two seconds lets the money come before the close,
        # and then the order is rightly paid.
        lates = [gate.order(expires_in=seconds) for seconds in (64, 70, 76)]
        accepted = gate.order(expires_in=60, late_payment="accept")
        untouched = gate.order(expires_in=60)
        unlucky = gate.order(expires_in=60)
        begun = time.monotonic()
        payments = {
            "waiting": gate.pay(waiting, method="action").json(),
            "accepted": gate.pay(accepted, method="late").json(),
            **{order["id"]: gate.pay(order, method="late").json() for order in lates},
        }
        assert {p["status"] for p in payments.values()} == {"requires_action"}
        # Nothing that the bank says about this one's payment arrives until after the deadline.
        gate.bank.faults(lose_response=1, lose_notice=1)
        assert gate.pay(unlucky, method="action", wait=0).status_code == 202
        until(lambda: gate.get(f"/v1/orders/{unlucky['id']}")["payment"]["unknown_since"], 20, "doubt")
        gate.bank.faults(lose_notice=1)
        time.sleep(max(0, 58 - (time.monotonic() - begun)))

        closed = gate.until_status(waiting, "closed", 60)
        assert closed["close_reason"] == "expired" and closed["payment"] is None
        charge = next(c for c in gate.bank.books()["charges"] if c["id"] == payments["waiting"]["number"])
        assert charge["status"] == "closed", "closed at the bank before it was closed here"
        assert gate.until_status(untouched, "closed")["close_reason"] == "expired"
        assert gate.pay(untouched).json()["code"] == "order_closed"

        gate.until_status(unlucky, "closed", 30)
        assert gate.bank.taken(unlucky) == []

        # Money that comes after the close goes back in full, once, whatever is lost on the way.
        late = next(order for order in lates if gate.until_status(order, ("closed", "paid"))["status"] == "closed")
        gate.bank.faults(lose_request=0.3, lose_response=0.3, fail_500=0.1, lose_notice=1)
        until(lambda: gate.bank.taken(late), 60, "the late money")
        # Twelve questions in the first minute, each answered in two of five cases; the next comes a minute later.
        until(lambda: gate.bank.returned(late), 200, "the late money's return")
        gate.bank.faults()
        refunds = until(
            lambda: [r for r in gate.get(f"/v1/payments/{payments[late['id']]['id']}/refunds")["data"]
                     if r["status"] == "succeeded"], 90, "the refund's end")
        assert [(r["cause"], r["amount"]) for r in refunds] == [("surplus", 1999)]
        assert gate.get(f"/v1/payments/{payments[late['id']]['id']}")["surplus"] == "late"
        assert gate.bank.kept(late) == 0 and len(gate.bank.returned(late)) == 1
        assert gate.now(late)["status"] == "closed" and gate.now(late)["amount_refunded"] == 0

        paid = gate.until_status(accepted, "paid", 90)
        assert paid["payment"]["surplus"] is None and paid["close_reason"] is None
        assert gate.bank.kept(accepted) == 1999


def test_the_shop_closes(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()
        payment = gate.pay(order, method="action").json()
        closed = gate.call("POST", f"/v1/orders/{order['id']}/close")
        assert closed.status_code == 200 and closed.json()["close_reason"] == "cancelled"
        assert gate.call("POST", f"/v1/orders/{order['id']}/close").json() == closed.json()
        gate.bank.cashier(payment, "pay")
        assert gate.bank.taken(order) == []

        paid = gate.order()
        gate.pay(paid)
        refused = gate.call("POST", f"/v1/orders/{paid['id']}/close")
        assert refused.status_code == 409 and refused.json()["code"] == "order_paid"

        # The bank cannot be reached: the order is closing until it can.
        doubtful = gate.order()
        gate.pay(doubtful, method="action")
        gate.bank.faults(lose_request=1)
        answer = gate.call("POST", f"/v1/orders/{doubtful['id']}/close", headers={"Prefer": "wait=1"})
        assert answer.status_code == 202 and answer.json()["status"] == "closing"
        gate.bank.faults()
        assert gate.until_status(doubtful, "closed")["close_reason"] == "cancelled"
