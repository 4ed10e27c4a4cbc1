"""The log: one writer for all threads, which loses nothing and holds nobody up."""

import os
import signal
import subprocess

import httpx

from support.gate import running
from support.machine import PROGRAM, free_port, together, until


def lines(gate, beginning):
    return [line for line in gate.process.log.read_text().splitlines() if f"request={beginning}" in line]


def test_every_request_is_a_line_at_an_orderly_end(tmp_path):
    with running(tmp_path, log_level="info") as gate:
        with httpx.Client(base_url=gate.url, timeout=40) as client:
            for number in range(300):
                client.get("/healthz", headers={"X-Request-Id": f"r-{number}"}).raise_for_status()
            # The last ones are not waited for.
            assert gate.process.kill(signal.SIGTERM) == 0
        assert [line.split("request=")[1].split()[0] for line in lines(gate, "r-")] == [f"r-{n}" for n in range(300)]


def test_a_line_does_not_wait_long(tmp_path):
    with running(tmp_path, log_level="info") as gate:
        together(20, lambda number: httpx.get(
            f"{gate.url}/healthz", headers={"X-Request-Id": f"t-{number}"}, timeout=40))
        until(lambda: len(lines(gate, "t-")) == 20, 10, "the lines of twenty threads, each of them whole")
        # Nothing else is asked for, and the next line does not come.
        httpx.get(f"{gate.url}/healthz", headers={"X-Request-Id": "alone"}, timeout=40)
        until(lambda: lines(gate, "alone"), 10, "a line that comes alone")


def test_who_does_not_read_the_log_holds_nobody_up(tmp_path):
    port = free_port()
    reader, writer = os.pipe()
    server = subprocess.Popen(
        [str(PROGRAM), "serve", "--listen", f"127.0.0.1:{port}", "--store", f"sqlite:{tmp_path}/a.db",
         "--books", f"{tmp_path}/bank.db"], stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=40) as client:
            def ready():
                try:
                    return client.get("/healthz").status_code == 200
                except httpx.TransportError:
                    return False

            until(ready, 60, "a server")
            # More than a pipe holds.
            for number in range(1500):
                assert client.get("/healthz", headers={"X-Request-Id": f"p-{number}"}).status_code == 200
        with os.fdopen(reader, "rb") as log:
            server.send_signal(signal.SIGTERM)
            text = log.read().decode()
        assert server.wait(60) == 0 and text.count("request=p-") == 1500
    finally:
        server.kill()
        server.wait()
