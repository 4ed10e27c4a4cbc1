"""Copies of a store, and what a restore makes of them."""

import os
import shutil
import sqlite3
import subprocess

from support.database import POSTGRES, new_database


def copy_of(gate, folder):
    """A backup made while the server runs, by the store's own means."""
    if POSTGRES:
        with open(folder / "copy.sql", "wb") as file:
            subprocess.run(["pg_dump", gate.store], check=True, stdout=file)
    else:
        with sqlite3.connect(gate.store.removeprefix("sqlite:")) as source, sqlite3.connect(folder / "copy.db") as copy:
            source.backup(copy)


def restore(gate, folder):
    if POSTGRES:
        gate.store = new_database()
        subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", folder / "copy.sql", gate.store], check=True,
                       capture_output=True)
        arguments = gate.process.arguments
        arguments[arguments.index("--store") + 1] = gate.store
    else:
        path = gate.store.removeprefix("sqlite:")
        for end in ("-wal", "-shm"):
            if os.path.exists(path + end):
                os.remove(path + end)
        shutil.copy(folder / "copy.db", path)
