"""Several nodes on one PostgreSQL: for buyers, shops and the bank they are one."""

import re
import signal
import threading
import time

import pytest

from support.database import POSTGRES, new_database
from support.machine import together, until
from support.nodes import running_nodes
from support.storm import Storm

pytestmark = pytest.mark.skipif(not POSTGRES, reason="needs PostgreSQL")


@pytest.fixture
def nodes(tmp_path):
    with running_nodes(tmp_path, new_database(), call_timeout=1) as nodes:
        yield nodes


def test_fifty_buyers_through_all_nodes_pay_once(nodes):
    order = nodes.next().order()
    answers = together(50, lambda n: nodes.all[n % 3].pay(order, key=f"key {n}"))
    assert {answer.status_code for answer in answers} <= {201, 202, 409}
    for node in nodes.all:
        node.until_status(order, "paid")
    assert len(nodes.bank.taken(order)) == 1
    assert nodes.all[0].now(order)["duplicates_prevented"] == 49


def test_the_same_key_is_the_same_payment_at_every_node(nodes):
    body = {"reference": "one", "amount": 1999, "currency": "CNY"}
    orders = together(12, lambda n: nodes.all[n % 3].call("POST", "/v1/orders", json=body))
    assert sorted(order.status_code for order in orders) == [200] * 11 + [201]
    order = orders[0].json()
    assert {other.json()["id"] for other in orders} == {order["id"]}
    answers = together(12, lambda n: nodes.all[n % 3].pay(order, key="k").json()["id"])
    assert len(set(answers)) == 1


def test_a_node_hears_of_what_another_does(nodes):
    order = nodes.all[0].order()
    payment = nodes.all[0].pay(order, method="action", wait=0).json()
    payment = until(
        lambda: (lambda p: p if p["status"] == "requires_action" else None)(
            nodes.all[1].get(f"/v1/payments/{payment['id']}")), what="an action")
    heard = []

    def wait():
        answer = nodes.all[2].get(f"/v1/payments/{payment['id']}?wait=30")
        heard.append((time.monotonic(), answer["status"]))

    waiting = threading.Thread(target=wait)
    waiting.start()
    # Whoever begins to wait hears of everything from then on; give it the time to begin.
    until(lambda: waiting.is_alive(), what="a waiter")
    time.sleep(1)
    paid_at = time.monotonic()
    nodes.bank.cashier(payment, "pay")
    waiting.join(40)
    assert heard and heard[0][1] == "succeeded"
    assert heard[0][0] - paid_at < 20, f"heard after {heard[0][0] - paid_at:.1f} s"


def paying_slowly(nodes):
    """An order that the first node is paying at a slow bank, and the thread of its buyer."""
    order = nodes.all[0].order()
    nodes.bank.faults(seed=1, latency_ms=[3000, 3000])
    thread = threading.Thread(target=lambda: together(1, lambda n: nodes.all[0].pay(order, key="k")))
    thread.start()
    until(lambda: nodes.all[1].get(f"/v1/orders/{order['id']}/payments")["data"], what="the payment")
    return order, thread


def test_another_node_finishes_what_one_began(nodes):
    order, thread = paying_slowly(nodes)
    nodes.all[0].process.kill()
    nodes.bank.faults()
    nodes.all[1].until_status(order, "paid", 60)
    thread.join(60)
    assert len(nodes.bank.taken(order)) == 1
    assert nodes.all[2].pay(order, key="k").json()["status"] == "succeeded"


def test_sweeping_is_shared(tmp_path):
    """Each payment is asked about by one node at a time, whichever it is: no call is made twice."""
    with running_nodes(tmp_path, new_database(), call_timeout=5, log_level="debug") as nodes:
        nodes.bank.faults(lose_notice=1)
        orders = [nodes.next().order() for _ in range(20)]
        payments = together(20, lambda n: nodes.all[n % 3].pay(orders[n], method="action").json())

        def queries():
            """Payment, number and node."""
            line = re.compile(r" provider call call=query .*number=(\d+) .*payment=(\w+)")
            return [(payment, number, node) for node in nodes.all
                    for number, payment in line.findall(node.process.log.read_text())]

        until(lambda: len({payment for payment, number, _ in queries() if int(number) >= 4}) == 20, 60, "three of each")
        for payment in payments:
            nodes.bank.cashier(payment, "pay")
        for order in orders:
            nodes.next().until_status(order, "paid", 60)
            assert len(nodes.bank.taken(order)) == 1
        made = queries()
        assert len({(payment, number) for payment, number, _ in made}) == len(made), sorted(made)
        assert len({node for _, _, node in made}) > 1, "one node made them all"


def test_a_stuck_node_holds_no_order_beyond_its_lease(nodes):
    order, thread = paying_slowly(nodes)
    nodes.all[0].process.process.send_signal(signal.SIGSTOP)
    nodes.bank.faults()
    # The call's time-out of a second, and thirty for clocks that differ.
    nodes.all[1].until_status(order, "paid", 60)
    nodes.all[0].process.process.send_signal(signal.SIGCONT)
    thread.join(60)
    assert nodes.all[0].pay(order, key="k").json()["status"] == "succeeded"
    assert len(nodes.bank.taken(order)) == 1 and nodes.bank.kept(order) == order["amount"]


def test_nodes_are_replaced_one_by_one(nodes):
    """As in an upgrade: each ends in order and another one takes its place, under load."""
    with Storm(nodes, int(time.time())) as storm:
        for node in nodes.all:
            count = len(storm.payments)
            until(lambda: len(storm.payments) > count + 5, 60, "payments")
            assert node.process.kill(signal.SIGTERM) == 0
            node.start()
            until(lambda: node.call("GET", "/readyz").status_code == 200, 30, "a node that is ready")
        until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
    print(storm.audit())


def test_kill_at_any_moment(nodes):
    with Storm(nodes, int(time.time())) as storm:
        for number in range(15):
            node = nodes.all[number % 3]
            time.sleep(0.5)
            node.process.kill()
            node.start()
        until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
    print(storm.audit())
