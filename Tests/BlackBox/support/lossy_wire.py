"""A socket between PayOnce and a bank on which everything goes wrong that goes wrong on networks."""

import random
import select
import socket
import struct
import threading
import time


class LossyWire:
    """Passes connections on to a port; while `is_bad`, it cuts, truncates, delays and doubles what passes."""

    def __init__(self, port, seed, slow=1.5):
        self.target, self.slow, self.dice = port, slow, random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.is_bad = False
        self.counts = dict.fromkeys(
            ["requests cut before", "requests cut in the middle", "answers cut", "answers cut in the middle",
             "answers late", "requests doubled", "connections refused"], 0)
        threading.Thread(target=self._listen, daemon=True).start()

    def _happens(self, what, chance):
        if not self.is_bad or self.dice.random() >= chance:
            return False
        self.counts[what] += 1
        return True

    def _listen(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        try:
            if self._happens("connections refused", 0.2):
                return
            with socket.create_connection(("127.0.0.1", self.target), 10) as server:
                self._exchange(client, server)
        except OSError:
            pass
        finally:
            reset(client)

    def _exchange(self, client, server):
        """Until one side ends or something goes wrong; a request and its answer are small, and come in one piece each."""
        while True:
            ready, _, _ = select.select([client, server], [], [], 60)
            if not ready:
                return
            if client in ready:
                request = client.recv(65536)
                if not request or self._happens("requests cut before", 0.05):
                    return
                if self._happens("requests cut in the middle", 0.03):
                    server.sendall(request[:len(request) // 2])
                    return
                if self._happens("requests doubled", 0.05):
                    threading.Thread(target=self._double, args=(request,), daemon=True).start()
                server.sendall(request)
            if server in ready:
                answer = server.recv(65536)
                if not answer or self._happens("answers cut", 0.08):
                    return
                if self._happens("answers cut in the middle", 0.04):
                    client.sendall(answer[:len(answer) // 2])
                    return
                if self._happens("answers late", 0.04):
                    time.sleep(self.dice.uniform(0, self.slow))
                client.sendall(answer)

    def _double(self, request):
        """The same bytes once more, a little later; nobody hears the answer."""
        try:
            time.sleep(self.dice.uniform(0, 1))
            with socket.create_connection(("127.0.0.1", self.target), 10) as server:
                server.sendall(request)
                server.recv(65536)
        except OSError:
            pass


class BlackHole:
    """A way to a port on which open connections can go dead without a word."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.swallowed, self.seen, self.open, self.streams = set(), set(), set(), 0

    def __enter__(self):
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.listener.close()

    def swallow(self):
        """What is open now passes nothing on any more."""
        self.swallowed |= self.open

    def _listen(self):
        for number in range(10_000):
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.open.add(number)
            self.seen.add(number)
            threading.Thread(target=self._pass, args=(number, client), daemon=True).start()

    def _pass(self, number, client):
        with client, socket.create_connection(("127.0.0.1", self.target), 10) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [], 120)
                for sock in ready:
                    data = sock.recv(65536)
                    if not data:
                        self.open.discard(number)
                        return
                    self.streams += b"/stream HTTP/1.1" in data
                    if number not in self.swallowed:
                        (server if sock is client else client).sendall(data)


def reset(sock):
    """Ends a connection with a reset, as a dying machine or a firewall does."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()
