"""A disk that is full, or cannot be written: 503 and no charge, and it heals by itself."""

import os
import subprocess
from contextlib import contextmanager

import pytest

from conftest import running, until


@contextmanager
def small_disk(folder, megabytes):
    """A file system of its own, in memory."""
    folder.mkdir()
    options = f"size={megabytes}m"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    with open(folder / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 65536)
        except OSError:
            pass
        try:
            while True:
                ballast.write(b"x" * 512)
        except OSError:
            pass


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
