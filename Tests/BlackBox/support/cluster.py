"""A PostgreSQL of three servers on loopback: a commit counts when one of two standbys has it, too."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from support.machine import free_port, until

BIN = Path(subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
# initdb refuses root.
USER = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, cwd="/", **USER)


class Server:
    def __init__(self, folder, number):
        self.name, self.port, self.data = f"n{number}", free_port(), folder / f"n{number}"
        self.process = None
        self.log = folder / f"n{number}.log"

    def start(self):
        with self.log.open("ab") as log:
            # A group of its own, so that all of its processes can be killed at once.
            self.process = subprocess.Popen(
                [str(BIN / "postgres"), "-D", str(self.data)], stdout=log, stderr=log, start_new_session=True, cwd="/",
                **USER)
        until(lambda: self.ask("SELECT 1") == "1", 30, f"{self.name}: {self.log.read_text()[-500:]}")

    def signal(self, number):
        """To every process of the server, as when its machine stops."""
        groups = {self.process.pid}
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            groups.add(int(child))
        for group in groups:
            try:
                os.kill(group, number)
            except ProcessLookupError:
                pass

    @property
    def is_running(self):
        return self.process and self.process.poll() is None

    def kill(self):
        if self.is_running:
            self.signal(signal.SIGKILL)
            self.process.wait(30)

    def ask(self, sql, database="postgres"):
        """The answer as text; `None` when there is none."""
        answer = subprocess.run(
            ["psql", "-XAtq", f"postgres://postgres@127.0.0.1:{self.port}/{database}?connect_timeout=10", "-c", sql],
            capture_output=True, text=True, timeout=60)
        return answer.stdout.strip() if answer.returncode == 0 else None

    def tell(self, *commands):
        for sql in commands:
            until(lambda: self.ask(sql) is not None, 30, f"{self.name}: {sql}")

    def received(self):
        """How far this standby has received what the primary wrote, in bytes."""
        place = "SELECT coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0', 0)"
        return int(until(lambda: self.ask(place), 30, f"{self.name}: how far it is"))

    def follow(self, primary):
        self.tell(f"ALTER SYSTEM SET primary_conninfo = '{primary.conninfo(self)}'", "SELECT pg_reload_conf()")

    def conninfo(self, standby):
        return f"host=127.0.0.1 port={self.port} user=postgres application_name={standby.name}"


class Cluster:
    def __init__(self, folder):
        self.servers = [Server(folder, number) for number in (1, 2, 3)]
        self.primary, *self.standbys = self.servers
        run(BIN / "initdb", "-D", self.primary.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        with (self.primary.data / "pg_hba.conf").open("a") as hba:
            hba.write("host replication all 127.0.0.1/32 trust\n")
        with (self.primary.data / "postgresql.conf").open("a") as settings:
            settings.write(
                "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nshared_buffers = 64MB\n"
                "max_connections = 60\nwal_keep_size = 256MB\nwal_log_hints = on\n"
                "synchronous_standby_names = 'ANY 1 (n1, n2, n3)'\ninclude_if_exists = 'own.conf'\n")
        self._own(self.primary)
        self.primary.start()
        for standby in self.standbys:
            run(BIN / "pg_basebackup", "-D", standby.data, "-d", self.primary.conninfo(standby), "-X", "stream", "-c",
                "fast")
            self._own(standby, f"primary_conninfo = '{self.primary.conninfo(standby)}'\n")
            (standby.data / "standby.signal").touch()
            standby.start()
        self.wait_for_standbys(2)
        self.primary.tell("CREATE DATABASE payonce")
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
        self.url = f"postgres://postgres@{hosts}/payonce"

    def _own(self, server, more=""):
        (server.data / "own.conf").write_text(f"port = {server.port}\ncluster_name = '{server.name}'\n{more}")

    def wait_for_standbys(self, count):
        until(lambda: self.primary.ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == str(count),
              30, f"{count} standbys")

    def fail_over(self):
        """Kills the primary, and promotes the standby that has received most."""
        self.primary.kill()
        until(lambda: all(s.ask("SELECT count(*) FROM pg_stat_wal_receiver") == "0" for s in self.standbys), 30,
              "standbys that have drained their sockets")
        self.promote(self.furthest())

    def furthest(self):
        """The standby that has received most, once they receive no more of a primary that says nothing."""
        def places():
            return {standby.name: standby.received() for standby in self.standbys}

        def still():
            before = places()
            time.sleep(0.5)  # for what is still on its way
            return before == places() and before

        settled = until(still, 30, "standbys that stand still")
        return max(self.standbys, key=lambda it: settled[it.name])

    def promote(self, server):
        run(BIN / "pg_ctl", "-D", server.data, "-w", "promote")
        self.standbys = [s for s in self.standbys if s is not server]
        self.primary = server
        for standby in self.standbys:
            if standby.is_running:
                standby.follow(server)

    def stop(self):
        for server in self.servers:
            if server.is_running:
                server.signal(signal.SIGCONT)
            server.kill()


@contextmanager
def cluster():
    # Not in pytest's folder, into which only its own user may look.
    folder = Path(tempfile.mkdtemp(prefix="payonce-cluster-"))
    if USER:
        shutil.chown(folder, "postgres", "postgres")
    made = None
    try:
        made = Cluster(folder)
        yield made
    finally:
        if made:
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)
