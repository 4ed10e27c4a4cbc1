"""A machine whose date is wrong decides nothing, says so, and goes on by itself when it is right again."""

import struct
import subprocess

import pytest

from support.database import POSTGRES, new_database
from support.gate import Gate, running, web
from support.machine import PROGRAM, until
from support.nodes import running_nodes
from support import preload


class WrongClock:
    """What a program that is given `environment` takes for the date: see wrong_clock.c."""

    def __init__(self, folder):
        self.file = folder / "wrong_clock"
        self.set(0)
        self.environment = {
            "LD_PRELOAD": preload.build("wrong_clock", folder), "PAYONCE_WRONG_CLOCK": str(self.file)}

    def set(self, seconds, is_kept=False):
        # In place: the program has this file mapped.
        self.file.touch()
        with open(self.file, "r+b", buffering=0) as file:
            file.write(struct.pack("=qq", seconds, is_kept))


def ready(gate):
    return web.get(f"{gate.url}/readyz")


def doctor(gate):
    command = [str(PROGRAM), "doctor", "--store", gate.store, "--listen", gate.url.removeprefix("http://")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("seconds", [3600, -3600, 365 * 86_400])
def test_a_date_that_jumps(tmp_path, seconds):
    clock = WrongClock(tmp_path)
    with running(tmp_path, environment=clock.environment) as gate:
        order = gate.order(expires_in=60)
        other = gate.order()
        clock.set(seconds)
        until(lambda: ready(gate).status_code == 503, what="a server that is not ready")
        assert ready(gate).json()["code"] == "clock_wrong"
        refused = gate.call("POST", "/v1/orders", json={"reference": "late", "amount": 1, "currency": "CNY"})
        assert (refused.status_code, refused.json()["code"]) == (503, "clock_wrong")
        assert refused.headers["retry-after"]
        refused = gate.pay(other)
        assert (refused.status_code, refused.json()["code"]) == (503, "clock_wrong")
        # What is stored can be read all the time, and nothing of it changed.
        assert gate.types(order) == ["order.created"]
        assert gate.now(other)["status"] == "open"
        said = doctor(gate)
        assert said.returncode == 1 and "clock" in said.stdout, said.stdout

        clock.set(0)
        until(lambda: ready(gate).status_code == 200, what="a server that is ready again")
        assert gate.pay(other).json()["status"] == "succeeded"
        assert gate.now(order)["status"] == "open"
        log = gate.process.log.read_text()
        assert log.count("the clock of this machine is wrong") == 1, log
        assert log.count("the clock of this machine is right again") == 1, log
        assert len(gate.bank.taken(other)) == 1


@pytest.mark.skipif(bool(POSTGRES), reason="PostgreSQL's own clock is asked instead")
def test_a_jump_that_the_system_made_itself_is_believed(tmp_path):
    clock = WrongClock(tmp_path)
    with running(tmp_path, environment=clock.environment) as gate:
        order = gate.order(expires_in=60)
        # A machine that slept for an hour, and whose clock was set right when it woke up.
        clock.set(3600, is_kept=True)
        assert gate.until_status(order, "closed")["close_reason"] == "expired"
        assert gate.pay(gate.order()).json()["status"] == "succeeded"


@pytest.mark.skipif(not POSTGRES, reason="needs PostgreSQL")
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_node_that_starts_with_a_wrong_date(tmp_path, seconds):
    with running_nodes(tmp_path, new_database(), count=1) as nodes:
        right, clock = nodes.all[0], WrongClock(tmp_path)
        clock.set(seconds)
        wrong = Gate(tmp_path, nodes.bank, name="wrong", store=right.store, key=right.key,
                     public_url=right.url, environment=clock.environment).start()
        try:
            assert ready(wrong).json()["code"] == "clock_wrong"
            order = right.order(expires_in=60)
            payment = right.pay(order, method="action").json()
            # Both look for what is due all the time.
            assert wrong.pay(order).json()["code"] == "clock_wrong"
            assert right.now(order)["status"] == "open"
            clock.set(0)
            until(lambda: ready(wrong).status_code == 200, what="a node that is ready")
            right.bank.cashier(payment, "pay")
            assert wrong.until_status(order, "paid")
            assert "order.closed" not in right.types(order)
        finally:
            wrong.process.kill()
