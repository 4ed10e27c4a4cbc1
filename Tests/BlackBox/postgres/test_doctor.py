"""What `payonce doctor` says about a PostgreSQL cluster and the Patroni that manages it."""

import http.server
import json
import subprocess
import threading
from contextlib import contextmanager

import pytest

from support.cluster import cluster
from support.database import POSTGRES
from support.machine import PROGRAM, until

pytestmark = pytest.mark.skipif(not POSTGRES, reason="needs PostgreSQL")


def doctor(url, *options):
    answer = subprocess.run(
        [str(PROGRAM), "doctor", "--store", url, "--bank", "http://127.0.0.1:1", *options], capture_output=True,
        text=True, timeout=60)
    return answer.stdout


@contextmanager
def patroni(version, **settings):
    """Its REST interface, as far as it is looked at."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802 - the library's name
            body = {"/patroni": {"patroni": {"version": version, "scope": "main"}, "role": "master"}, "/config": settings}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body[self.path]).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def test_a_cluster():
    with cluster() as servers:
        url = servers.url

        def says(*lines, options=()):
            """Once the servers have read their settings and noticed who is gone."""
            return until(
                lambda: (lambda found: found if all(line in found for line in lines) else None)(doctor(url, *options)),
                30, " and ".join(lines))

        says("is empty; `payonce serve`")
        subprocess.run(
            [str(PROGRAM), "keys", "create", "--merchant", "tea", "--store", url], check=True, capture_output=True)
        found = says(
            "ok       store: payonce on 127.0.0.1", "a write was acknowledged", "ok       keys: 1 valid",
            "ok       copies: ANY 1 (n1, n2, n3), and 2 connected", "ok       connections", "ok       clock")
        assert "fsync" not in found
        with patroni("3.0.2", synchronous_mode=True, synchronous_mode_strict=True) as address:
            says("BROKEN   patroni: 3.0.2", "3.0.3 or later", options=("--patroni", address))
        with patroni("4.1.5", synchronous_mode="quorum", synchronous_mode_strict=True) as address:
            assert "warning  patroni" not in says("ok       patroni: 4.1.5", options=("--patroni", address))
        with patroni("3.3.0", synchronous_mode=True) as address:
            says("warning  patroni: set synchronous_mode", options=("--patroni", address))
        says("BROKEN   patroni: nothing answers", options=("--patroni", address))
        for setting, line in (
            ("synchronous_commit = local", "BROKEN   synchronous_commit: local"),
            ("synchronous_standby_names = ''", "warning  copies: one"),
            ("fsync = off", "BROKEN   fsync: off"),
        ):
            servers.primary.tell(f"ALTER SYSTEM SET {setting}", "SELECT pg_reload_conf()")
            says(line)
            servers.primary.tell("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
        servers.standbys[0].kill()
        says("warning  copies: ANY 1 (n1, n2, n3), and 1 connected")
        servers.standbys[1].kill()
        says(
            "BROKEN   store: payonce on 127.0.0.1", "cannot be written",
            "BROKEN   copies: ANY 1 (n1, n2, n3), and 0 connected; commits wait until there are 1")
        servers.primary.kill()
        says("BROKEN   store: payonce on 127.0.0.1", "cannot be reached")
