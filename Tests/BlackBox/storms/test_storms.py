"""Storms on real processes: whatever happens to them, each order keeps at most one payment, by the bank's own books."""

import os
import random
import signal
import time
from contextlib import contextmanager

import pytest

from support.bad_disk import BadDisk
from support.database import POSTGRES
from support.gate import Bank, Gate
from support.lossy_wire import LossyWire
from support.machine import until
from support.storm import Storm

# How often something is done to a process in one storm.
KILLS = int(os.environ.get("PAYONCE_KILLS", "50"))
BLOWS = int(os.environ.get("PAYONCE_BLOWS", "12"))


class Scene:
    """A bank, PayOnce before it, and a seed for what happens to both."""

    def __init__(self, folder, bad_disk=False, lossy_wire=False):
        self.seed = int(os.environ.get("PAYONCE_SEED", time.time_ns() % 1_000_000))
        print(f"PAYONCE_SEED={self.seed}")
        self.dice = random.Random(self.seed)
        self.bank = Bank(folder)
        # A disk that goes bad is SQLite's; a database looks after its own.
        store_folder = folder / "store" if bad_disk else None
        if store_folder:
            store_folder.mkdir()
        self.disk = BadDisk(folder, store_folder) if bad_disk else None
        self.wire = LossyWire(self.bank.port, self.seed) if lossy_wire else None
        self.gate = Gate(
            folder, self.bank, call_timeout=1, store_folder=store_folder, bank_url=self.wire and self.wire.url,
            environment=self.disk and self.disk.environment)

    def pause(self, least, most):
        time.sleep(self.dice.uniform(least, most))

    def storm(self, happen):
        """People buy while something happens, on a bad wire if there is one; then everything must be well."""
        with Storm(self.gate, self.seed) as storm:
            if self.wire:
                self.wire.is_bad = True
            self.people = storm
            happen()
            until(lambda: len(storm.orders) >= 20 and storm.has_tried_twice(), 60, "orders with two charges")
            if self.wire:
                self.wire.is_bad = False
        print(storm.audit())

    def strike(self, times, *blows, least=0.05, most=0.5):
        for _ in range(times):
            self.pause(least, most)
            self.dice.choice(blows)()

    def kill(self):
        assert self.gate.process.process.poll() is None, "PayOnce ended by itself"
        self.gate.process.kill()
        self.gate.start()

    def freeze(self):
        """SIGSTOP of PayOnce or the bank, as a laptop's lid or a crowded host does it: then it goes on as if nothing
        had been."""
        process = self.dice.choice([self.gate, self.bank]).process.process
        process.send_signal(signal.SIGSTOP)
        self.pause(0.1, 3)
        process.send_signal(signal.SIGCONT)

    def break_disk(self):
        self.dice.choice([self.disk.refuse_writes, self.disk.fail_syncs, self.disk.hang, self.disk.hang_reads_too])()
        self.pause(0.1, 1.5)
        # Sometimes it dies before the disk is well: what was not synced may be there, or not.
        dies = self.dice.random() < 0.5
        assert self.gate.process.process.poll() is None, "PayOnce ended by itself"
        if dies:
            self.gate.process.kill()
        self.disk.be_well()
        if dies:
            self.gate.start()

    def hang_disk(self):
        """For so long that people are answered without it, and what they asked for is written afterwards."""
        told = self.people.unavailable
        self.disk.hang()
        until(lambda: self.people.unavailable >= told + 5, 30, "an answer without the disk")
        self.disk.be_well()


@contextmanager
def scene(folder, **options):
    scene = Scene(folder, **options)
    try:
        scene.bank.start()
        scene.gate.start()
        yield scene
    finally:
        if scene.disk:
            scene.disk.be_well()
        for process in (scene.gate.process, scene.bank.process):
            if process.process and process.process.poll() is None:
                process.process.send_signal(signal.SIGCONT)
            process.kill(signal.SIGTERM)


def test_kill_at_any_moment(tmp_path):
    with scene(tmp_path) as s:
        s.storm(lambda: s.strike(KILLS, s.kill))


def test_freeze_at_any_moment(tmp_path):
    with scene(tmp_path) as s:
        s.storm(lambda: s.strike(BLOWS, s.freeze))


def test_lossy_wire(tmp_path):
    with scene(tmp_path, lossy_wire=True) as s:
        s.storm(lambda: until(lambda: min(s.wire.counts.values()) >= 5, 120, "everything that goes wrong on a wire"))
        print(s.wire.counts)


@pytest.mark.skipif(bool(POSTGRES), reason="is about the embedded store")
def test_bad_disk(tmp_path):
    with scene(tmp_path, bad_disk=True) as s:
        s.storm(lambda: (s.strike(BLOWS, s.break_disk, least=0.2, most=0.8), s.hang_disk()))


def test_everything_at_once(tmp_path):
    with scene(tmp_path, bad_disk=not POSTGRES, lossy_wire=True) as s:
        blows = [s.kill, s.freeze, s.freeze] + ([] if POSTGRES else [s.break_disk])
        s.storm(lambda: s.strike(BLOWS, *blows))
