"""A primary that is lost under load: nothing that was acknowledged is, nobody pays twice, and it goes on by itself."""

import itertools
import shutil
import signal
import time
from urllib.parse import urlsplit

import pytest

from support.bad_disk import fill, small_disk
from support.cluster import USER, cluster
from support.database import POSTGRES, ask, new_database
from support.gate import web
from support.lossy_wire import LossyWire
from support.machine import until
from support.nodes import running_nodes
from support.storm import Storm

# Ends every connection of the nodes.
DISCONNECT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'payonce'"

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


def test_a_frozen_primary_that_was_replaced_comes_back(tmp_path):
    """Two servers say that they take writes. The old one has no standby any more: nothing is committed there, and no
    node goes by what it shows."""
    with cluster() as servers, running_nodes(tmp_path, servers.url, count=2, call_timeout=1) as nodes:
        with Storm(nodes, int(time.time())) as storm:
            until(lambda: len(storm.payments) >= 20, 60, "payments before")
            old = servers.primary
            old.signal(signal.SIGSTOP)
            lost_at = time.monotonic()
            servers.promote(servers.furthest())
            count = len(storm.payments)
            until(lambda: len(storm.payments) > count + 5, 60, "payments at the new primary")
            print(f"went on {time.monotonic() - lost_at:.1f} s after the freeze")
            old.signal(signal.SIGCONT)
            until(lambda: old.ask("SELECT pg_is_in_recovery()") == "f", 30, "an old primary that takes connections")
            count = len(storm.payments)
            # A node that has to connect again meets the old one first.
            servers.primary.tell(DISCONNECT)
            until(lambda: len(storm.payments) > count + 5, 90, "payments beside the old primary")
            until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
        print(storm.audit())


def test_standbys_that_are_killed(tmp_path):
    """One of two is not missed. Without any nothing is acknowledged, until one is back."""
    with cluster() as servers, running_nodes(tmp_path, servers.url, count=2, call_timeout=1) as nodes:
        with Storm(nodes, int(time.time())) as storm:
            until(lambda: len(storm.payments) >= 10, 60, "payments before")
            first, second = servers.standbys
            told = storm.unavailable
            first.kill()
            count = len(storm.payments)
            until(lambda: len(storm.payments) > count + 10, 60, "payments with one standby")
            assert storm.unavailable == told, "one standby of two was missed"
            second.kill()
            until(lambda: storm.unavailable > told + 5, 60, "an answer without standbys")
            second.start()
            count = len(storm.payments)
            until(lambda: len(storm.payments) > count + 5, 60, "payments afterwards")
            until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
        print(storm.audit())


def test_a_database_that_forgot_what_it_acknowledged(tmp_path):
    with cluster() as servers, running_nodes(tmp_path, servers.url, count=2, call_timeout=1) as nodes:
        order = nodes.next().order()
        lagging, other = servers.standbys
        of_it = f"SELECT count(*) FROM orders WHERE reference = '{order['reference']}'"
        until(lambda: lagging.ask(of_it, "payonce") == "1", 60, "the order at the standby")
        lagging.tell("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        until(lambda: lagging.ask("SELECT count(*) FROM pg_stat_wal_receiver") == "0", 60, "a standby that is cut off")
        first = nodes.next().pay(order, key="first").json()
        assert first["status"] == "succeeded"
        servers.primary.kill()
        other.kill()
        servers.promote(lagging)
        lagging.tell("ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
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


def test_no_connection_is_left(tmp_path):
    """A node that cannot connect says so, to a page by the end of its stream, and goes on when it can."""
    url = urlsplit(new_database())
    role = f"r_{url.path[1:]}"
    ask(f"CREATE ROLE {role} LOGIN; ALTER DATABASE {url.path[1:]} OWNER TO {role}; ALTER ROLE {role} CONNECTION LIMIT 20")
    store = url._replace(netloc=f"{role}@{url.netloc.partition('@')[2]}").geturl()
    with running_nodes(tmp_path, store, count=2, call_timeout=1) as nodes:
        with Storm(nodes, int(time.time())) as storm:
            until(lambda: len(storm.payments) >= 10, 60, "payments before")
            told = storm.unavailable
            with web.stream("GET", f"{nodes.next().order()['checkout_url']}/stream") as stream:
                lines = stream.iter_lines()
                assert next(lines).startswith("id: ") and next(lines).startswith("data: ")
                ask(f"ALTER ROLE {role} CONNECTION LIMIT 0; {DISCONNECT} AND usename = '{role}'")
                until(lambda: storm.unavailable > told + 5, 60, "an answer without a connection")
                # It may have said once more what it read before, and says nothing that it cannot read.
                assert sum(line.startswith("data: ") for line in itertools.islice(lines, 9)) < 3
            until(lambda: nodes.next().call("GET", "/readyz").status_code == 503, 60, "a node that says so")
            ask(f"ALTER ROLE {role} CONNECTION LIMIT 20")
            count = len(storm.payments)
            until(lambda: len(storm.payments) > count + 5, 60, "payments afterwards")
            until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
        print(storm.audit())


def test_a_database_that_is_full(tmp_path):
    """Nothing is charged for what cannot be stored, and it goes on once there is room."""
    with small_disk(tmp_path / "disk", 64) as disk:
        if USER:
            shutil.chown(disk, "postgres", "postgres")
            for folder in (disk, *disk.parents):
                folder.chmod(folder.stat().st_mode | 0o011)
        url = urlsplit(new_database())
        name = url.path[1:]
        ask(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
        ask(f"ALTER DATABASE {name} SET TABLESPACE {name}")
        try:
            with running_nodes(tmp_path, url.geturl(), count=2, call_timeout=1) as nodes:
                with Storm(nodes, int(time.time())) as storm:
                    until(lambda: len(storm.payments) >= 10, 60, "payments before")
                    told = storm.unavailable
                    fill(disk)
                    until(lambda: storm.unavailable > told + 5, 120, "an answer of a full database")
                    (disk / "ballast").unlink()
                    count = len(storm.payments)
                    until(lambda: len(storm.payments) > count + 5, 60, "payments afterwards")
                    until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
                print(storm.audit())
        finally:
            ask(f"DROP DATABASE {name} WITH (FORCE)")
            ask(f"DROP TABLESPACE {name}")
