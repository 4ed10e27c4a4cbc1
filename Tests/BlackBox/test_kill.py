"""kill -9 at fifty random moments of a storm: every answered request is still there, and the books agree."""

import os
import random
import threading
import time
import uuid

import httpx
from conftest import Bank, Gate, until

KILLS = int(os.environ.get("PAYONCE_KILLS", "50"))


def test_kill_at_any_moment(tmp_path):
    seed = int(os.environ.get("PAYONCE_SEED", time.time_ns() % 1_000_000))
    print(f"PAYONCE_SEED={seed}")
    dice = random.Random(seed)
    bank = Bank(tmp_path).start()
    gate = Gate(tmp_path, bank, call_timeout=1).start()
    bank.faults(seed=seed, latency_ms=[0, 60], lose_request=0.05, lose_response=0.1, fail_500=0.05, lose_notice=0.5,
                duplicate_notice=0.2, delay_notice_ms=[0, 500])
    orders, answers, refunds, lock, stopping = [], [], [], threading.Lock(), threading.Event()

    def buyer(number):
        mine = random.Random(seed * 100 + number)
        while not stopping.is_set():
            try:
                with gate.client() as client:
                    order = client.post("/v1/orders", json={
                        "reference": str(uuid.uuid4()), "amount": 1000 + number, "currency": "CNY"})
                    if order.status_code != 201:
                        continue
                    order = order.json()
                    with lock:
                        orders.append(order)
                    payment = None
                    keys = [str(uuid.uuid4()) for _ in range(mine.randint(1, 3))]
                    for key in keys + [keys[0]]:
                        # Through the API and the checkout token, which share their keys.
                        path = mine.choice([f"/v1/orders/{order['id']}", order["checkout_url"].removeprefix(gate.url)])
                        answer = client.post(
                            f"{path}/payments", headers={"Idempotency-Key": key, "Prefer": "wait=1"},
                            json={"provider": "sandbox", "method": mine.choice(["ok", "ok", "slow", "declined", "lost"])})
                        if answer.status_code not in (201, 202):
                            continue
                        payment = answer.json()
                        with lock:
                            answers.append((order["id"], key, payment))
                        if payment["status"] == "processing" and mine.random() < 0.3:
                            client.post(f"/v1/payments/{payment['id']}/close", headers={"Prefer": "wait=0"})
                    if payment and payment["status"] == "succeeded" and mine.random() < 0.5:
                        for _ in range(2):
                            refund = client.post(
                                f"/v1/payments/{payment['id']}/refunds", json={"amount": 300},
                                headers={"Idempotency-Key": "broken", "Prefer": "wait=1"})
                            if refund.status_code in (201, 202):
                                with lock:
                                    refunds.append((payment["id"], refund.json()))
                    if mine.random() < 0.1:
                        client.post(f"/v1/orders/{order['id']}/close", headers={"Prefer": "wait=0"})
            except httpx.HTTPError:
                time.sleep(0.01)  # the server is being restarted

    buyers = [threading.Thread(target=buyer, args=(n,)) for n in range(8)]
    for thread in buyers:
        thread.start()
    try:
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.5))
            gate.process.kill()
            gate.start()
    finally:
        stopping.set()
        for thread in buyers:
            thread.join(60)
        bank.faults()
    assert len(orders) >= KILLS, "the storm was no storm"

    # Everything comes to rest by itself.
    def at_rest(order):
        now = gate.now(order)
        if now["status"] == "closing" or now["payment"] and now["payment"]["status"] != "succeeded":
            return None
        paths = [f"/v1/payments/{p['id']}/refunds" for p in gate.get(f"/v1/orders/{order['id']}/payments")["data"]
                 if p["status"] == "succeeded"]
        return now if all(r["status"] != "processing" for path in paths for r in gate.get(path)["data"]) else None

    try:
        books = None
        for order in orders:
            now = until(lambda: at_rest(order), 120, f"rest of {order['id']}")
            payments = gate.get(f"/v1/orders/{order['id']}/payments")["data"]
            assert sum(p["status"] == "succeeded" and p["surplus"] is None for p in payments) <= 1
            numbers = [event["sequence"] for event in gate.events(order)]
            assert numbers == list(range(1, len(numbers) + 1))
            books = books or {}
            books[order["id"]] = (now, payments)
        listing = bank.books()
        taken, returned = {}, {}
        for charge in listing["charges"]:
            if charge["status"] == "succeeded":
                taken.setdefault("ord_" + charge["id"][4:30], []).append(charge)
        for refund in listing["refunds"]:
            returned.setdefault("ord_" + refund["id"][4:30], []).append(refund)
        for order in orders:
            now, payments = books[order["id"]]
            kept = sum(c["amount"] for c in taken.get(order["id"], [])) - sum(
                r["amount"] for r in returned.get(order["id"], []))
            owed = order["amount"] - now["amount_refunded"] if now["status"] == "paid" else 0
            assert kept == owed, (order["id"], now, payments)

        # What was answered is still there, under the same key.
        by_key = {}
        for order_id, key, payment in answers:
            by_key.setdefault((order_id, key), set()).add(payment["id"])
            stored = [p for p in books[order_id][1] if p["id"] == payment["id"]]
            assert stored, f"{payment['id']} was answered and is gone"
            if payment["status"] in ("succeeded", "failed", "closed"):
                assert stored[0]["status"] == payment["status"]
        assert all(len(ids) == 1 for ids in by_key.values())
        for payment, refund in refunds:
            stored = gate.get(f"/v1/refunds/{refund['id']}")
            assert stored["payment"] == payment and stored["amount"] == 300
        assert len({refund["id"] for _, refund in refunds}) == len({payment for payment, _ in refunds})
        print(f"{len(refunds)} answered refunds, {KILLS} kills, {len(orders)} orders, {len(answers)} answered payments, "
              f"{sum(len(v) for v in taken.values())} charges")
    finally:
        gate.process.kill(15)
        bank.process.kill(15)
