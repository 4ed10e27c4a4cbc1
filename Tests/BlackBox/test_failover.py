"""A primary that is lost under load: nothing that was acknowledged is, nobody pays twice, and it goes on by itself."""

import signal
import time
from urllib.parse import urlsplit

import pytest
from cluster import cluster
from conftest import POSTGRES, new_database, until
from lossy_wire import LossyWire
from nodes import running_nodes
from storm import Storm

pytestmark = pytest.mark.skipif(not POSTGRES, reason="needs PostgreSQL")


def test_a_killed_primary(tmp_path):
    with cluster() as servers, running_nodes(tmp_path, servers.url, count=2, call_timeout=1) as nodes:
        with Storm(nodes, int(time.time())) as storm:
            until(lambda: len(storm.payments) >= 20, 60, "payments before")
            lost_at = time.monotonic()
            servers.fail_over()
            promoted_at = time.monotonic()
            count = len(storm.payments)
            until(lambda: len(storm.payments) > count + 5, 60, "payments afterwards")
            resumed_at = time.monotonic()
            until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
        print(f"promoted after {promoted_at - lost_at:.1f} s, went on {resumed_at - promoted_at:.1f} s later")
        print(storm.audit())


def test_a_frozen_primary(tmp_path):
    """Its kernel still answers, so only our own deadline ends the wait for it."""
    with cluster() as servers, running_nodes(tmp_path, servers.url, count=2, call_timeout=1) as nodes:
        with Storm(nodes, int(time.time())) as storm:
            until(lambda: len(storm.payments) >= 20, 60, "payments before")
            told = storm.unavailable
            servers.primary.signal(signal.SIGSTOP)
            until(lambda: storm.unavailable > told + 5, 60, "an answer without the database")
            servers.primary.signal(signal.SIGCONT)
            count = len(storm.payments)
            until(lambda: len(storm.payments) > count + 5, 60, "payments afterwards")
            until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
        print(storm.audit())


def test_a_database_that_forgot_what_it_acknowledged(tmp_path):
    with cluster() as servers, running_nodes(tmp_path, servers.url, count=2, call_timeout=1) as nodes:
        order = nodes.next().order()
        lagging, other = servers.standbys
        lagging.ask("ALTER SYSTEM SET primary_conninfo = ''")
        lagging.ask("SELECT pg_reload_conf()")
        until(lambda: lagging.ask("SELECT count(*) FROM pg_stat_wal_receiver") == "0", what="a standby that is cut off")
        assert lagging.ask_payonce(f"SELECT count(*) FROM orders WHERE id = '{order['id']}'") == "1"
        first = nodes.next().pay(order, key="first").json()
        assert first["status"] == "succeeded"
        servers.primary.kill()
        other.kill()
        servers.promote(lagging)
        lagging.ask("ALTER SYSTEM SET synchronous_standby_names = ''")
        lagging.ask("SELECT pg_reload_conf()")
        for node in nodes.all:
            until(lambda: node.call("GET", "/readyz").status_code == 200, 60, "a node that found the new primary")
            assert node.now(order)["status"] == "open", "nothing was forgotten, so nothing is tried here"
        # The buyer sees an open order and pays again, in another way: it is the charge that the bank has already.
        second = nodes.next().pay(order, key="second")
        assert second.status_code == 201 and second.json()["status"] == "succeeded"
        assert second.json()["id"] == first["id"]
        assert len(nodes.bank.taken(order)) == 1 and nodes.bank.kept(order) == order["amount"]


def test_a_lossy_wire_to_the_database(tmp_path):
    """Commits whose answers are lost: each is found out about before anybody is answered."""
    url = urlsplit(new_database())
    seed = int(time.time())
    wire = LossyWire(url.port, seed)
    store = url._replace(netloc=f"{url.username}@127.0.0.1:{wire.port}").geturl()
    with running_nodes(tmp_path, store, count=2, call_timeout=1) as nodes:
        with Storm(nodes, seed) as storm:
            wire.is_bad = True
            until(lambda: min(wire.counts.values()) >= 5, 120, "everything that goes wrong on a wire")
            wire.is_bad = False
            until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
        print(storm.audit(), wire.counts)
