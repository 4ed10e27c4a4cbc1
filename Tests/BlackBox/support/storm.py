"""Impatient buyers and a busy shop while things go wrong, and an auditor who trusts only the bank's books."""

import random
import threading
import time
import uuid

import httpx

from support.machine import until


class Storm:
    """`with Storm(gate, seed) as storm:` buys as fast as it can; `storm.audit()` afterwards says whether all is well."""

    def __init__(self, gate, seed, buyers=8):
        self.gate, self.bank, self.seed = gate, gate.bank, seed
        print(f"the seed of the storm is {seed}")
        self.shop = gate.client()
        self.orders, self.payments, self.refunds, self.closed = [], [], [], []  # what was answered
        self.asked = set()  # the payments of which a refund was asked for
        self.wrong = []  # what no buyer should meet
        self.unavailable = 0  # how often somebody was told to come back later
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._buy, args=(number,)) for number in range(buyers)]

    def __enter__(self):
        self.bank.faults(
            seed=self.seed, latency_ms=[0, 60], lose_request=0.05, lose_response=0.1, fail_500=0.05, lose_notice=0.5,
            duplicate_notice=0.2, delay_notice_ms=[0, 500])
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a buyer waits for ever"
        self.bank.faults()

    # What the people do

    def _buy(self, number):
        dice = random.Random(self.seed * 100 + number)
        while not self.stopping.is_set():
            try:
                with self.gate.client(timeout=20) as client:
                    client.event_hooks["response"] = [self._look]
                    self._live(client, dice, 1000 + number)
            except httpx.HTTPError:
                time.sleep(0.01)  # the server is being restarted, or does not answer
            except Exception as error:  # noqa: BLE001 - the auditor looks at it
                return self._remember(self.wrong, repr(error))

    def _look(self, answer):
        if answer.status_code == 503:
            self.unavailable += 1
        elif answer.status_code not in (200, 201, 202, 409):
            self._remember(self.wrong, f"{answer.request.method} {answer.request.url} gave {answer.status_code}")

    def _live(self, client, dice, amount):
        """One order: registered, paid with several keys on two ways, sometimes closed or refunded meanwhile."""
        order = client.post("/v1/orders", json={"reference": str(uuid.uuid4()), "amount": amount, "currency": "CNY"})
        if order.status_code != 201:
            return
        order = order.json()
        self._remember(self.orders, order)
        payment = None
        methods = ["ok", "ok", "slow", "declined", "lost", "late"]
        tries = [(str(uuid.uuid4()), dice.choice(methods)) for _ in range(dice.randint(1, 3))]
        for key, method in tries + [tries[0]]:
            # Through the API and the checkout token, which share their keys.
            path = dice.choice([f"/v1/orders/{order['id']}", order["checkout_url"].removeprefix(self.gate.url)])
            answer = client.post(
                f"{path}/payments", headers={"Idempotency-Key": key, "Prefer": "wait=1"},
                json={"provider": "sandbox", "method": method})
            if answer.status_code not in (201, 202):
                continue
            payment = answer.json()
            self._remember(self.payments, (order["id"], key, payment))
            if payment["status"] in ("processing", "requires_action") and dice.random() < 0.5:
                # Somebody who waits for the close pays again beside a first payment that may still take money.
                wait = dice.choice([0, 2])
                client.post(f"/v1/payments/{payment['id']}/close", headers={"Prefer": f"wait={wait}"})
        if payment and payment["status"] == "succeeded" and dice.random() < 0.5:
            self.asked.add(payment["id"])
            for _ in range(2):
                refund = client.post(
                    f"/v1/payments/{payment['id']}/refunds", json={"amount": 300},
                    headers={"Idempotency-Key": "broken", "Prefer": "wait=1"})
                if refund.status_code in (201, 202):
                    self._remember(self.refunds, (payment["id"], refund.json()))
        if payment and payment["status"] == "requires_action" or dice.random() < 0.1:
            closed = client.post(f"/v1/orders/{order['id']}/close", headers={"Prefer": "wait=0"})
            if closed.is_success:
                self._remember(self.closed, order["id"])

    def has_tried_twice(self):
        """Whether an order has two charges: else nothing was tried that could be kept twice."""
        return any(len(charges) > 1 for charges in Books(self.bank.books()).tried.values())

    def _get(self, path):
        # A machine that stands still for a while may cost a node its connection.
        answer = until(lambda: (it := self.shop.get(path)).status_code != 503 and it, 60, f"an answer of {path}")
        return answer.raise_for_status().json()

    def _remember(self, kind, what):
        with self.lock:
            kind.append(what)

    # The auditor

    def audit(self):
        """Waits until everything came to rest by itself, and holds the books against what was answered."""
        assert not self.wrong, self.wrong[:5]
        for order in self.orders:
            # Nobody comes to pay what waits for a buyer.
            until(lambda: self.shop.post(f"/v1/orders/{order['id']}/close", headers={"Prefer": "wait=0"}).status_code
                  in (200, 202, 409), what=f"an answer to the close of {order['id']}")
        restless, changed_at, listing = {}, time.monotonic(), None

        def is_over():
            """Whether all is well, and the books have not changed for longer than late money takes to come."""
            nonlocal changed_at, listing
            looked_at, new = time.monotonic(), self.bank.books()
            if new != listing:
                # All of them anew: what was well may not be any more.
                changed_at, listing = looked_at, new
                restless.update({order["id"]: order for order in self.orders})
            books = Books(listing)
            for order in list(restless.values()):
                if self._trouble(order, books) is None:
                    del restless[order["id"]]
            return not restless and looked_at - changed_at > 3

        try:
            until(is_over, 180, "rest")
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self._troubles(restless.values(), listing)[:5])) from None
        troubles = self._troubles(self.orders, listing)
        assert not troubles, "it was well, and is not any more:\n" + "\n".join(troubles[:5])
        books = Books(self.bank.books())
        strangers = set(books.taken) - {order["number"] for order in self.orders}
        # An order whose registration was never answered cannot have been paid.
        assert not strangers, f"money was taken for {strangers}, and nobody was told of them"
        self._hold_answers()
        several = sum(len(charges) > 1 for charges in books.tried.values())
        twice = sum(len(charges) > 1 for charges in books.taken.values())
        return (f"{len(self.orders)} orders, {several} with several charges, {twice} of them paid twice or more; "
                f"{len(self.payments)} answered payments, {len(self.refunds)} answered refunds, "
                f"{len(self.closed)} answered closes, {sum(map(len, books.returned.values()))} returns")

    def _troubles(self, orders, listing):
        books = Books(listing)
        return [f"{order['id']}: {trouble}" for order in orders if (trouble := self._trouble(order, books))]

    def _trouble(self, order, books):
        """What keeps this order from being well, if anything does."""
        payments = self._get(f"/v1/orders/{order['id']}/payments")["data"]
        refunds = [refund for payment in payments if payment["status"] == "succeeded"
                   for refund in self._get(f"/v1/payments/{payment['id']}/refunds")["data"]]
        # Last, so that it is no older than its parts.
        now = self._get(f"/v1/orders/{order['id']}")
        if [p for p in payments if p["status"] not in ("succeeded", "failed", "closed")]:
            return f"a payment is under way: {payments}"
        if now["status"] == "closing" or [r for r in refunds if r["status"] == "processing"]:
            return f"it is {now['status']}, with refunds {refunds}"
        kept = [p for p in payments if p["status"] == "succeeded" and p["surplus"] is None]
        if len(kept) > 1 or (now["status"] == "paid") != (len(kept) == 1):
            return f"{len(kept)} payments are kept, and it is {now['status']}"
        numbers = [event["sequence"] for event in self._get(f"/v1/orders/{order['id']}/events")["data"]]
        if numbers != list(range(1, len(numbers) + 1)):
            return f"its events are {numbers}"
        owed = order["amount"] - now["amount_refunded"] if kept else 0
        if books.kept(order["number"]) != owed:
            return f"the bank keeps {books.kept(order['number'])}, and it says {owed}: {payments} {refunds}"
        for payment in payments:
            charge = books.charges.get(payment["number"])
            if charge and charge["status"] in ("pending", "requires_action"):
                return f"{payment['id']} is {payment['status']}, and its charge {charge['status']}"
            if payment["surplus"] and books.kept(order["number"], payment["number"]) != 0:
                return f"surplus {payment['id']} was not returned, or more of it"
        for payment in kept:
            returned = [r["amount"] for r in books.returned.get(order["number"], []) if r["charge"] == payment["number"]]
            if returned != ([300] if payment["id"] in self.asked and returned else []):
                return f"{returned} went back of the kept {payment['id']}"
        return None

    def _hold_answers(self):
        """What was answered is still there, under the same key."""
        stored = {}
        for id, _, _ in self.payments:
            if id not in stored:
                stored[id] = {p["id"]: p for p in self._get(f"/v1/orders/{id}/payments")["data"]}
        by_key = {}
        for id, key, payment in self.payments:
            assert payment["id"] in stored[id], f"{payment['id']} was answered and is gone"
            assert by_key.setdefault((id, key), payment["id"]) == payment["id"], f"{key} led to two payments"
            if payment["status"] in ("failed", "closed"):
                # Only money that came all the same may change that.
                assert stored[id][payment["id"]]["status"] in (payment["status"], "succeeded")
            if payment["status"] == "succeeded":
                now = stored[id][payment["id"]]
                assert (now["status"], now["surplus"]) == ("succeeded", payment["surplus"]), f"{payment} became {now}"
        by_payment = {}
        for payment, refund in self.refunds:
            now = self._get(f"/v1/refunds/{refund['id']}")
            assert (now["payment"], now["amount"], now["status"]) == (payment, 300, "succeeded"), now
            assert by_payment.setdefault(payment, refund["id"]) == refund["id"], "a key led to two refunds"
        for id in self.closed:
            assert self._get(f"/v1/orders/{id}")["status"] == "closed", f"the close of {id} was answered"


class Books:
    """A bank's listing, by order and by payment. Numbers at the bank begin with the order's."""

    def __init__(self, listing):
        self.charges = {charge["id"]: charge for charge in listing["charges"]}
        self.tried, self.taken, self.returned = {}, {}, {}
        for charge in listing["charges"]:
            order = charge["id"][:27]
            self.tried.setdefault(order, []).append(charge)
            if charge["status"] == "succeeded":
                self.taken.setdefault(order, []).append(charge)
        for refund in listing["refunds"]:
            self.returned.setdefault(refund["charge"][:27], []).append(refund)

    def kept(self, order, payment=None):
        taken = [c for c in self.taken.get(order, []) if payment in (None, c["id"])]
        returned = [r for r in self.returned.get(order, []) if payment in (None, r["charge"])]
        return sum(c["amount"] for c in taken) - sum(r["amount"] for r in returned)
