"""What `payonce doctor` says about a PostgreSQL cluster and the Patroni that manages it."""

import http.server
import json
import subprocess
import threading
from contextlib import contextmanager

import pytest
from cluster import cluster
from conftest import POSTGRES, PROGRAM

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
        assert "is empty; `payonce serve`" in doctor(servers.url)
        subprocess.run(
            [str(PROGRAM), "keys", "create", "--merchant", "tea", "--store", servers.url], check=True,
            capture_output=True)
        found = doctor(servers.url)
        assert "ok       store: payonce on 127.0.0.1" in found and "a write was acknowledged" in found
        assert "ok       keys: 1 valid" in found
        assert "ok       copies: ANY 1 (n1, n2, n3), and 2 connected" in found
        assert "ok       connections" in found and "ok       clock" in found and "fsync" not in found
        with patroni("3.0.2", synchronous_mode=True, synchronous_mode_strict=True) as url:
            found = doctor(servers.url, "--patroni", url)
            assert "BROKEN   patroni: 3.0.2" in found and "3.0.3 or later" in found
        with patroni("4.1.5", synchronous_mode="quorum", synchronous_mode_strict=True) as url:
            found = doctor(servers.url, "--patroni", url)
            assert "ok       patroni: 4.1.5" in found and "warning  patroni" not in found
        with patroni("3.3.0", synchronous_mode=True) as url:
            assert "warning  patroni: set synchronous_mode" in doctor(servers.url, "--patroni", url)
        assert "BROKEN   patroni: nothing answers" in doctor(servers.url, "--patroni", url)
        for setting, says in (
            ("synchronous_commit = local", "BROKEN   synchronous_commit: local"),
            ("synchronous_standby_names = ''", "warning  copies: one"),
            ("fsync = off", "BROKEN   fsync: off"),
        ):
            servers.primary.ask(f"ALTER SYSTEM SET {setting}")
            servers.primary.ask("SELECT pg_reload_conf()")
            assert says in doctor(servers.url)
            servers.primary.ask("ALTER SYSTEM RESET ALL")
            servers.primary.ask("SELECT pg_reload_conf()")
        servers.standbys[0].kill()
        assert "warning  copies: ANY 1 (n1, n2, n3), and 1 connected" in doctor(servers.url)
        servers.standbys[1].kill()
        found = doctor(servers.url)
        assert "BROKEN   store: payonce on 127.0.0.1" in found and "cannot be written" in found
        assert "BROKEN   copies: ANY 1 (n1, n2, n3), and 0 connected; commits wait until there are 1" in found
        servers.primary.kill()
        assert "BROKEN   store: payonce on 127.0.0.1" in doctor(servers.url) and "cannot be reached" in doctor(servers.url)
