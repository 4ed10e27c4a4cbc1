"""Connections: who is accepted is answered, and nobody keeps one that others need."""

import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

from support.database import POSTGRES
from support.gate import restart_with_files, running, web
from support.machine import PROGRAM, free_port, until, with_files
from support.raw import connect, rest


def is_alive(gate):
    return gate.process.process.poll() is None


# At the start and at the end

def test_who_is_accepted_at_a_start_is_answered(tmp_path):
    """The port is not listened on before there is a server."""
    with running(tmp_path) as gate:
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for _ in range(12):
            assert gate.process.kill(signal.SIGTERM) == 0
            process = subprocess.Popen(
                gate.process.arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            gate.process.process = process
            accepted, last = [], time.monotonic() + 60
            # Some beyond the first: the server is there for good by then.
            while len(accepted) < 50:
                assert time.monotonic() < last and process.poll() is None
                try:
                    sock = connect(gate)
                except ConnectionRefusedError:
                    continue
                sock.sendall(request)
                accepted.append(sock)
            for sock in accepted:
                with sock:
                    assert rest(sock).startswith(b"HTTP/1.1 200")


def test_the_end_waits_for_nobody_who_is_stuck(tmp_path):
    with running(tmp_path, log_level="debug") as gate:
        payment = gate.pay(gate.order(), method="action").json()
        stuck = [connect(gate) for _ in range(30)]
        for number, sock in enumerate(stuck):
            if number % 3 == 1:
                sock.sendall(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: 99\r\n\r\n{"
                             % gate.key.encode())
            if number % 3 == 2:
                sock.setblocking(False)
                for _ in range(200):
                    try:
                        sock.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
                    except BlockingIOError:
                        break
        answers = []
        waiting = threading.Thread(
            target=lambda: answers.append(gate.call("GET", f"/v1/payments/{payment['id']}?wait=60")))
        waiting.start()
        # It is on its way once the bank was asked for it.
        until(lambda: "call=query" in gate.process.log.read_text(), what="the question to the bank")
        began = time.monotonic()
        assert gate.process.kill(signal.SIGTERM) == 0
        assert time.monotonic() - began < 12
        waiting.join(10)
        assert answers and answers[0].status_code == 200
        for sock in stuck:
            sock.close()


# Few files

@pytest.mark.parametrize("limit", [256, 1024])
def test_a_full_table_of_files_ends_nothing(tmp_path, limit):
    """Everything in one process, as it is tried first: gate, bank and store share what there is."""
    with running(tmp_path) as gate:
        restart_with_files(gate, limit, soft=limit // 2)
        # The soft limit was raised to the hard one.
        assert resource.prlimit(gate.process.process.pid, resource.RLIMIT_NOFILE) == (limit, limit)
        assert f"only {limit} files may be open" in gate.process.log.read_text()
        order = gate.order()
        idle = []
        try:
            for number in range(limit + 100):
                idle.append(connect(gate))
                if number % 50 == 0:
                    assert gate.call("GET", "/healthz").status_code == 200
            # Those who pay do not wait for those who do nothing.
            for _ in range(20):
                began = time.monotonic()
                assert web.get(f"{gate.url}/healthz").status_code == 200
                assert time.monotonic() - began < 5
                assert gate.call("GET", f"/v1/orders/{order['id']}").status_code == 200
            assert gate.pay(order).status_code == 201
            assert is_alive(gate)
        finally:
            for sock in idle:
                sock.close()


def test_a_full_table_of_the_bank_ends_nothing(tmp_path):
    with running(tmp_path) as gate:
        restart_with_files(gate.bank, 256)
        idle = [socket.create_connection(("127.0.0.1", gate.bank.port), timeout=20) for _ in range(400)]
        assert gate.pay(gate.order()).json()["status"] == "succeeded"
        assert gate.bank.process.process.poll() is None
        for sock in idle:
            sock.close()


def test_requests_that_take_every_place_leave_one_for_the_health_check(tmp_path):
    """Who waits for outcomes has some of the connections, never all; the rest is told to come later."""
    with running(tmp_path) as gate:
        restart_with_files(gate, 256)
        payments = [gate.pay(gate.order(), method="action").json()["id"] for _ in range(8)]
        waiting = []
        for number in range(250):
            sock = connect(gate)
            sock.sendall(
                f"GET /v1/payments/{payments[number % 8]}?wait=60 HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {gate.key}\r\n\r\n".encode())
            waiting.append(sock)
        began = time.monotonic()
        assert web.get(f"{gate.url}/healthz").status_code == 200
        assert time.monotonic() - began < 5
        answer = gate.pay(gate.order(), wait=5)
        assert answer.status_code == 201 or answer.json()["code"] == "overloaded", answer.text
        assert is_alive(gate)
        for sock in waiting:
            sock.close()


def test_too_few_files_are_said_at_once(tmp_path):
    answer = subprocess.run(
        [*with_files(80), str(PROGRAM), "serve", "--listen", f"127.0.0.1:{free_port()}"], capture_output=True,
        text=True, cwd=tmp_path, timeout=30)
    assert answer.returncode == 2 and "LimitNOFILE" in answer.stderr


@pytest.mark.skipif(bool(POSTGRES), reason="is about the embedded store")
def test_doctor_says_when_there_are_few_files(tmp_path):
    def doctor(limit):
        return subprocess.run(
            [*with_files(limit), str(PROGRAM), "doctor", "--listen", f"127.0.0.1:{free_port()}"], capture_output=True,
            text=True, cwd=tmp_path, timeout=30).stdout

    assert re.search(r"^warning  files: only 512 .*LimitNOFILE", doctor(512), re.M)
    assert re.search(r"^ok       files: 5000 ", doctor(5000), re.M)


# Clients that keep what they have

def test_who_was_answered_early_is_cut_off(tmp_path):
    """However the rest of the request drips, and whatever the answer was."""
    with running(tmp_path) as gate:
        drips = []
        for request in ("POST /v1/orders", "POST /nothing", "GET /healthz", "POST /demo/orders"):
            for framing in ("Content-Length: 60000", "Transfer-Encoding: chunked"):
                sock = connect(gate)
                sock.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
                if not request.endswith("/demo/orders"):
                    assert sock.recv(65536).startswith(b"HTTP/1.1 ")
                drips.append((sock, b"1\r\n \r\n" if "chunked" in framing else b" "))
        began = time.monotonic()
        while drips:
            assert time.monotonic() - began < 30, f"{len(drips)} are still open"
            for drip in list(drips):
                sock, piece = drip
                try:
                    sock.sendall(piece)
                    # What the server closed answers with nothing, or is reset.
                    sock.settimeout(0.01)
                    if sock.recv(65536) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    pass
                except OSError:
                    drips.remove(drip)
                    sock.close()
            time.sleep(0.2)
        assert gate.call("GET", "/healthz").status_code == 200


def test_readers_that_do_not_read_cost_little(tmp_path):
    with running(tmp_path) as gate:
        before, readers = gate.process.memory(), []
        request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
        for _ in range(100):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect(("127.0.0.1", gate.port))
            sock.setblocking(False)
            readers.append([sock, request])
        last = time.monotonic() + 3
        while time.monotonic() < last:
            for reader in readers:
                try:
                    reader[1] = reader[1][reader[0].send(reader[1]):]
                except BlockingIOError:
                    pass
            time.sleep(0.01)
        assert gate.process.memory() - before < 80
        # Each ends once nothing of its answers was taken for half a minute.
        held = f"/proc/{gate.process.process.pid}/fd"
        until(lambda: subprocess.check_output(["ls", held]).count(b"\n") < 60, 60, "the end of the readers' connections")
        for sock, _ in readers:
            sock.close()


# Streams

def test_an_order_has_few_streams(gate):
    """The oldest give way, so that nobody's page is kept from following."""
    order = gate.order()
    path = order["checkout_url"].removeprefix(gate.url) + "/stream"
    streams = []
    for _ in range(200):
        sock = connect(gate)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert sock.recv(20).startswith(b"HTTP/1.1 200")
        streams.append(sock)
    newest = streams.pop()

    def is_over(sock):
        sock.settimeout(0.01)
        try:
            while chunk := sock.recv(65536):
                if chunk.endswith(b"0\r\n\r\n"):
                    return True
        except TimeoutError:
            return False
        return True

    left = list(streams)

    def are_few():
        left[:] = [sock for sock in left if not is_over(sock)]
        return len(left) < 32

    until(are_few, 20, "the end of the oldest streams")
    assert len(left) == 31 and left == streams[-31:]
    assert gate.pay(order).status_code == 201
    newest.settimeout(20)
    news = b""
    while b'"paid"' not in news:
        chunk = newest.recv(65536)
        assert chunk, "the newest stream has ended"
        news += chunk
    for sock in [*streams, newest]:
        sock.close()


def test_who_only_looks_keeps_nobody_from_paying(tmp_path):
    """A small server whose places for pages are all taken: pages are told to ask, and payments go on."""
    with running(tmp_path) as gate:
        restart_with_files(gate, 256)
        orders = [gate.order() for _ in range(16)]
        streams, refused = [], 0
        for number in range(160):
            sock = connect(gate)
            path = orders[number % 16]["checkout_url"].removeprefix(gate.url)
            sock.sendall(f"GET {path}/stream HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            refused += sock.recv(20).startswith(b"HTTP/1.1 503")
            streams.append(sock)
        assert refused > 0
        answer = web.get(orders[0]["checkout_url"] + "/stream")
        assert answer.status_code == 503 and answer.json()["code"] == "overloaded" and answer.headers["retry-after"]
        assert web.get(orders[0]["checkout_url"] + "/status").status_code == 200
        assert all(gate.pay(order).status_code == 201 for order in orders)
        for sock in streams:
            sock.close()
