"""A disk that is full, cannot be written or does not answer: 503 and no charge, and it heals by itself."""

import os

import pytest

from support.bad_disk import BadDisk, fill, small_disk
from support.database import POSTGRES
from support.gate import running
from support.machine import until

pytestmark = pytest.mark.skipif(bool(POSTGRES), reason="is about the embedded store")


def test_a_full_disk_takes_no_money(tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk, running(tmp_path, store_folder=disk) as gate:
        paid, waiting = gate.order(), gate.order()
        assert gate.pay(paid).json()["status"] == "succeeded"
        fill(disk)
        full = until(lambda: (lambda a: a if a.status_code == 503 else None)(gate.pay(waiting, key="k")),
                     what="a full disk")
        assert full.headers["retry-after"] and full.json()["code"] == "unavailable"
        before = gate.bank.books()["charges"]
        for number in range(5):
            assert gate.pay(waiting, key=f"k{number}").status_code == 503
        # The pages can still be read, and nothing was charged for what could not be written.
        assert gate.now(paid)["status"] == "paid"
        assert gate.call("GET", "/readyz").status_code == 503
        assert gate.bank.books()["charges"] == before and gate.bank.taken(waiting) == []
        os.remove(disk / "ballast")
        until(lambda: gate.call("GET", "/readyz").status_code == 200, what="health")
        assert gate.pay(waiting, key="k").json()["status"] == "succeeded"
        assert len(gate.bank.taken(waiting)) == 1


@pytest.mark.parametrize("fault", ["refuse_writes", "fail_syncs", "hang", "hang_reads_too"])
def test_a_disk_that_cannot_be_written_takes_no_money(tmp_path, fault):
    store = tmp_path / "store"
    store.mkdir()
    disk = BadDisk(tmp_path, store)
    with running(tmp_path, store_folder=store, environment=disk.environment) as gate:
        paid, waiting = gate.order(), gate.order()
        assert gate.pay(paid).json()["status"] == "succeeded"
        before = gate.bank.books()["charges"]
        try:
            getattr(disk, fault)()
            answer = gate.pay(waiting, key="k")
            assert answer.status_code == 503 and answer.json()["code"] == "unavailable", answer.text
            assert answer.headers["retry-after"]
            assert gate.call("GET", "/readyz").status_code == 503
            read = gate.call("GET", f"/v1/orders/{paid['id']}")
            if fault == "hang_reads_too":
                assert read.status_code == 503 and read.json()["code"] == "unavailable", read.text
            else:
                # What is written already can be read.
                assert read.json()["status"] == "paid"
            assert gate.bank.books()["charges"] == before
        finally:
            disk.be_well()
        until(lambda: gate.call("GET", "/readyz").status_code == 200, what="health")
        assert gate.pay(waiting, key="k").json()["status"] == "succeeded"
        assert len(gate.bank.taken(waiting)) == 1
