"""The PostgreSQL of a run, if it has one."""

import os
import sqlite3
import subprocess
import uuid
from contextlib import closing

# The PostgreSQL on which everything is tried that does not say where its orders are; `None` for SQLite.
POSTGRES = os.environ.get("PAYONCE_TEST_POSTGRES") if os.environ.get("PAYONCE_TEST_STORE") == "postgres" else None


def ask(sql, database=None):
    """Lets the test's PostgreSQL do something."""
    subprocess.run(
        ["psql", "--quiet", "--no-psqlrc", "--dbname", database or POSTGRES, "--command", sql], check=True,
        capture_output=True)


def new_database():
    """The URL of an empty database."""
    name = f"b_{uuid.uuid4().hex}"
    ask(f"CREATE DATABASE {name}")
    return POSTGRES.rpartition("/")[0] + "/" + name


def change(gate, sql):
    """What somebody writes into a gate's store beside it."""
    if gate.store.startswith("sqlite:"):
        with closing(sqlite3.connect(gate.store.removeprefix("sqlite:"), timeout=20)) as database, database:
            database.execute(sql)
    else:
        ask(sql, gate.store)
