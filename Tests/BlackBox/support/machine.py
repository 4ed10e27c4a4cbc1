"""The tree, the program, and what this machine lends a test: ports, time, threads, files."""

import fcntl
import functools
import itertools
import os
import socket
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("PAYONCE_PROGRAM", ROOT / ".build" / "debug" / "payonce"))


@functools.cache
def own_ports():
    """A thousand ports that no other worker of any run on this machine uses.

    They are below those that outgoing connections are given: a program finds its port again when it is started a second
    time.
    """
    for first in range(10_000, 32_000, 1000):
        try:
            lock = open(f"/tmp/payonce-test-ports-{first}", "w")  # noqa: SIM115 - it lasts as long as this process
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        return lock, itertools.cycle(range(first, first + 1000))
    raise AssertionError("every block of ports is in use: end some of the test runs on this machine")


def free_port():
    for port in own_ports()[1]:
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def until(condition, seconds=20, what="the condition"):
    """Waits for a condition, with a limit; returns what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        # One look is always after the deadline: a machine may stand still.
        is_last = time.monotonic() > deadline
        value = condition()
        if value:
            return value
        if is_last:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


def together(count, work):
    """Runs `work(n)` in `count` threads that begin at the same moment; returns the results in order."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(number):
        barrier.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def with_files(limit, soft=None):
    """Lets a program be started with so many files."""
    return ["prlimit", f"--nofile={soft or limit}:{limit}"]
