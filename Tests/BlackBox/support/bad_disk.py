"""Disks that fill up, refuse, or do not answer, and become well again under a running program."""

import subprocess
from contextlib import contextmanager

import pytest

from support import preload


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
        for size in (65536, 512):
            try:
                while True:
                    ballast.write(b"x" * size)
            except OSError:
                pass


class BadDisk:
    """What a program that is given `environment` finds below `folder`: see bad_disk.c."""

    def __init__(self, folder, store_folder):
        self.mode = folder / "bad_disk.mode"
        self.mode.write_bytes(b"-")
        self.environment = {
            "LD_PRELOAD": preload.build("bad_disk", folder), "PAYONCE_BAD_DISK": str(store_folder), "PAYONCE_BAD_DISK_MODE": str(self.mode)}

    def _set(self, mode):
        # In place: the program has this file mapped.
        with open(self.mode, "r+b", buffering=0) as file:
            file.write(mode)

    def refuse_writes(self):
        self._set(b"r")

    def fail_syncs(self):
        self._set(b"s")

    def hang(self):
        self._set(b"h")

    def hang_reads_too(self):
        self._set(b"a")

    def be_well(self):
        self._set(b"-")
