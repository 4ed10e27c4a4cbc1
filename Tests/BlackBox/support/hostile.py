"""Clients that mean harm, without a key. Run as a program of its own, so that they do not slow down who looks on:
`hostile.py PORT PATH…` attacks the checkout pages of these paths until its input is closed, and says what was answered."""

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

# Quadratic for whoever compares text by what it means: marks of two classes, in the wrong order.
MARKS = "\u0301" * 8000 + "\u0327" * 8000
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


class Attackers:
    """Every kind of attack at once; what came back is in `statuses`."""

    def __init__(self, port, paths):
        self.port, self.paths = port, paths
        self.statuses, self.stopping, self.lock = {}, threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._attack, args=(it,)) for it in (
            self._marks, self._idle, self._no_readers, self._slow_bodies, self._streams, self._floods)]

    def run(self, until_stopped):
        for thread in self.threads:
            thread.start()
        until_stopped()
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _attack(self, work):
        """Keeps some connections, each for a while; what happens to them is the server's business."""
        kept = []
        while not self.stopping.is_set():
            try:
                work(kept)
            except OSError:
                time.sleep(0.01)
        for sock in kept:
            sock.close()

    def _connect(self, kept, limit):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        kept.append(sock)
        while len(kept) > limit:
            kept.pop(0).close()
        return sock

    def _note(self, kind, sock):
        """The status of an answer."""
        answer = sock.recv(64)
        if answer.startswith(b"HTTP/1.1 "):
            with self.lock:
                name = f"{kind} {int(answer[9:12])}"
                self.statuses[name] = self.statuses.get(name, 0) + 1

    # Attacks, each called again and again

    def _marks(self, kept):
        """Text that is slow to compare, wherever text is taken."""
        path = self.paths[0]
        body = f"{MARKS}=1".encode()
        requests = [
            (f"POST {path}/payments HTTP/1.1\r\nIdempotency-Key: x\r\n", f'{{"{MARKS}": 0}}'.encode()),
            (f"POST {path}/payments HTTP/1.1\r\n{FORM}", body),
            (f"POST {path}/payments HTTP/1.1\r\n{FORM}", f"idempotency_key=a&method=sandbox%3A{MARKS}".encode()),
            (f"POST /demo/orders HTTP/1.1\r\n{FORM}", body),
            (f"GET {path} HTTP/1.1\r\nAccept-Language: {MARKS[:6000]}\r\n", b""),
            (f"GET {path} HTTP/1.1\r\nCookie: {MARKS[:6000]}=1\r\nOrigin: {MARKS[:500]}\r\n", b""),
        ]
        for head, body in requests:
            sock = self._connect(kept, 4)
            sock.sendall(head.encode() + b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self._note("marks", sock)
            self.stopping.wait(0.02)

    def _idle(self, kept):
        self._connect(kept, 400)
        self.stopping.wait(0.01)

    def _no_readers(self, kept):
        sock = self._connect(kept, 60)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.setblocking(False)
        sock.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        self.stopping.wait(0.05)

    def _slow_bodies(self, kept):
        sock = self._connect(kept, 100)
        sock.sendall(b"POST /providers/sandbox/notices HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
        for other in list(kept):
            try:
                other.send(b" ")
            except OSError:
                kept.remove(other)
        self.stopping.wait(0.05)

    def _streams(self, kept):
        """A thousand on one order, and then others."""
        for number in itertools.count():
            if self.stopping.is_set():
                return
            sock = self._connect(kept, 1000)
            path = self.paths[0 if number < 1000 else number % len(self.paths)]
            sock.sendall(f"GET {path}/stream HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.stopping.wait(0.008)

    def _floods(self, kept):
        """Bodies that go on behind their answer, and a client that asks and hangs up."""
        sock = self._connect(kept, 2)
        sock.sendall(b"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._note("floods", sock)
        for _ in range(20):
            sock.sendall(b"ffff\r\n" + b"a" * 65535 + b"\r\n")
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as gone:
            gone.sendall(f"GET {self.paths[-1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.stopping.wait(0.1)


@contextmanager
def attacking(port, paths):
    """Attacks from another process; gives a dictionary that has what was answered once it is over."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(port), *paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    statuses = {}
    try:
        yield statuses
        statuses.update(json.loads(process.communicate("", timeout=60)[0]))
    finally:
        process.kill()
        process.wait(20)


class Observer:
    """Looks at the health and the memory of a gate, over and over; and how long its bank takes to answer, which nobody
    attacks, since that is what the machine does to everybody."""

    def __init__(self, gate, memory):
        self.gate, self.memory = gate, memory
        self.times, self.calm, self.largest, self.wrong = [], [], 0, []
        # How many connections gave way to others.
        self.ended = 0

    @contextmanager
    def looking(self):
        stopping = threading.Event()

        def look():
            while not stopping.wait(0.1):
                self.calm.append(self._ask(int(self.gate.bank.url.rsplit(":", 1)[1]), b"/faults"))
                self.times.append(self._ask(self.gate.port, b"/healthz"))
                self.largest = max(self.largest, self.memory())

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield self
        finally:
            stopping.set()
            thread.join(60)

    def _ask(self, port, path):
        """How long the answer takes."""
        began = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                answer = sock.recv(64)
            if not answer.startswith(b"HTTP/1.1 200"):
                self.wrong.append((path, answer))
        except ConnectionResetError:
            # On a machine that stood still for a while it may be the one for which the gate waited longest.
            self.ended += 1
        except OSError as error:
            self.wrong.append((path, repr(error)))
        return time.monotonic() - began


def within(times, share):
    """Within which this share of the answers came, in seconds."""
    return sorted(times)[int(share * (len(times) - 1))]


if __name__ == "__main__":
    attackers = Attackers(int(sys.argv[1]), sys.argv[2:])
    attackers.run(sys.stdin.read)
    print(json.dumps(attackers.statuses))
