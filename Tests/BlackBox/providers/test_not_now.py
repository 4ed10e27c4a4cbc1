"""A bank that turns requests away for now: nothing is unknown, and everything comes to its end later."""

from support.gate import running
from support.machine import until


def test_a_bank_that_is_busy_is_asked_later(tmp_path):
    with running(tmp_path, log_level="info") as gate:
        order = gate.order()
        gate.bank.faults(throttle=1)
        payment = gate.pay(order, wait=0).json()
        until(lambda: "not now, in 2 s" in gate.process.log.read_text(), what="the bank's word")
        assert gate.get(f"/v1/payments/{payment['id']}")["status"] == "processing"
        gate.bank.faults()
        gate.until_status(order, "paid")
        types = [event["type"] for event in gate.get(f"/v1/orders/{order['id']}/events")["data"]]
        assert types == ["order.created", "payment.started", "payment.succeeded", "order.paid"], "nothing was unknown"
        gate.bank.faults(throttle=1)
        back = gate.call("POST", f"/v1/payments/{payment['id']}/refunds", json={"amount": 100},
                         headers={"Idempotency-Key": "1", "Prefer": "wait=0"}).json()
        gate.bank.faults()
        done = until(lambda: (it := gate.get(f"/v1/refunds/{back['id']}"))["status"] == "succeeded" and it, what="the refund")
        assert done["unknown_since"] is None
        assert gate.bank.kept(order) == order["amount"] - 100
