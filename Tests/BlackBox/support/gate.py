"""The built program as its users meet it: `payonce serve`, a bank in another process, a store on disk."""

import functools
import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import uuid
from contextlib import contextmanager

import httpx

from support.database import POSTGRES, new_database
from support.machine import PROGRAM, free_port, until, with_files


class web:  # noqa: N801 - it stands where the library's name would
    """Requests that outlast a machine that stands still for a while."""

    get, post, request, stream = (
        functools.partial(it, timeout=40) for it in (httpx.get, httpx.post, httpx.request, httpx.stream))


class Process:
    """A running program whose output goes to files, so that it never blocks on a pipe."""

    def __init__(self, folder, name, arguments, environment=None):
        self.arguments = [str(PROGRAM), *arguments]
        self.environment = {**os.environ, **(environment or {})}
        self.log = folder / f"{name}.log"
        self.out = folder / f"{name}.out"
        self.process = None

    def start(self, ready):
        self.out.write_text("")
        with self.log.open("ab") as log, self.out.open("ab") as out:
            self.process = subprocess.Popen(self.arguments, stdout=out, stderr=log, env=self.environment)

        def listening():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.arguments} ended:\n{self.log.read_text()[-2000:]}")
            return ready in self.out.read_text()

        until(listening, 60, f"'{ready}' of {self.arguments[1]}")
        return self

    def kill(self, number=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        return self.process.returncode if self.process else None

    def memory(self):
        """What it holds, in MB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) // 1024


def order_number(merchant, reference):
    """What providers are told of an order, by its merchant's id and its shop's own number: computed anew."""
    digest = int.from_bytes(hashlib.sha256(f"{merchant}\0{reference}".encode()).digest()[:16])
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    return "p" + "".join(letters[digest >> 5 * place & 31] for place in reversed(range(26)))


def number_of(gate, order):
    """The same of any merchant's order, by its id; None where the store does not have it."""
    shown = subprocess.run(
        [str(PROGRAM), "show", order, "--store", gate.store], capture_output=True, text=True, timeout=40)
    if shown.returncode:
        return None
    record = json.loads(shown.stdout)
    return order_number(record["merchant"], record["reference"])


def charges_of(order, books):
    """The charges of an order, in whichever state: their numbers begin with its own."""
    return [charge for charge in books["charges"] if charge["id"].startswith(order["number"])]


class Bank:
    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = ["bank", "--listen", f"127.0.0.1:{self.port}", "--books", str(folder / "bank.db")]
        self.process = Process(folder, "bank", [*arguments, "--log-level", "warning"])

    def start(self):
        self.process.start("listening on")
        return self

    def books(self):
        return httpx.get(f"{self.url}/books", timeout=30).raise_for_status().json()

    def taken(self, order):
        """The charges of an order that took money."""
        return [c for c in charges_of(order, self.books()) if c["status"] == "succeeded"]

    def returned(self, order):
        return [r for r in self.books()["refunds"] if r["charge"].startswith(order["number"])]

    def kept(self, order):
        """What the order keeps by the bank's own books, in minor units."""
        return sum(c["amount"] for c in self.taken(order)) - sum(r["amount"] for r in self.returned(order))

    def faults(self, **faults):
        httpx.put(f"{self.url}/faults", json=faults, timeout=40).raise_for_status()

    def cashier(self, payment, action):
        data = {"action": action}
        return httpx.post(f"{self.url}/pay/{payment['number']}", data=data, timeout=40)


class Gate:
    """PayOnce, with an API key of one merchant."""

    # Those that run, so that a browser's witness finds the one that showed it something.
    all = []

    def __init__(self, folder, bank, call_timeout=2, log_level="notice", name="serve", arguments=(),
                 store_folder=None, bank_url=None, environment=None, store=None, key=None, public_url=None):
        self.folder, self.bank = folder, bank
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        if store:
            self.store = store
        elif POSTGRES and not store_folder:
            self.store = new_database()
        else:
            self.store = f"sqlite:{store_folder or folder}/payonce.db"
        if public_url:
            arguments = [*arguments, "--public-url", public_url]
        self.process = Process(
            folder, name,
            ["serve", "--listen", f"127.0.0.1:{self.port}", "--store", self.store, "--bank", bank_url or bank.url,
             "--call-timeout", str(call_timeout), "--log-level", log_level, *arguments], environment)
        self.key = key or self.new_key("shop")
        self.references = itertools.count()

    def new_key(self, merchant):
        command = [str(PROGRAM), "keys", "create", "--merchant", merchant, "--store", self.store]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def start(self):
        self.process.start("listening on")
        return self

    def client(self, key=None, timeout=40):
        headers = {"Authorization": f"Bearer {key or self.key}"}
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, limits=limits)

    def call(self, method, path, key=None, **arguments):
        headers = {"Authorization": f"Bearer {key or self.key}", **arguments.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=40, **arguments)

    def order(self, **fields):
        body = {"reference": f"r-{uuid.uuid4()}", "amount": 1999, "currency": "CNY", **fields}
        response = self.call("POST", "/v1/orders", json=body)
        assert response.status_code == 201, response.text
        return response.json()

    def pay(self, order, key=None, method="ok", wait=30, **arguments):
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Prefer": f"wait={wait}"}
        body = {"provider": "sandbox", "method": method}
        return self.call("POST", f"/v1/orders/{order['id']}/payments", headers=headers, json=body, **arguments)

    def get(self, path):
        return self.call("GET", path).raise_for_status().json()

    def now(self, order):
        return self.get(f"/v1/orders/{order['id']}")

    def events(self, order):
        return self.get(f"/v1/orders/{order['id']}/events")["data"]

    def types(self, order):
        return [event["type"] for event in self.events(order)]

    def until_status(self, order, status, seconds=60):
        def reached():
            now = self.now(order)
            return now if now["status"] in statuses else None

        statuses = (status,) if isinstance(status, str) else status
        try:
            return until(reached, seconds, f"status {' or '.join(statuses)} of the order")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.now(order)}; {self.types(order)}") from None


@contextmanager
def running(folder, **options):
    bank = Bank(folder).start()
    try:
        gate = Gate(folder, bank, **options).start()
        Gate.all.append(gate)
        try:
            yield gate
        finally:
            gate.process.kill(signal.SIGTERM)
            Gate.all.remove(gate)
    finally:
        bank.process.kill(signal.SIGTERM)


def restart_with_files(server, limit, soft=None):
    """Starts a gate or a bank again, with so many files."""
    server.process.kill(signal.SIGTERM)
    server.process.arguments = [*with_files(limit, soft), *server.process.arguments]
    server.start()


def run(*arguments, environment=None, folder=None, seconds=30):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
    return subprocess.run(
        [str(PROGRAM), *arguments], capture_output=True, text=True, timeout=seconds, cwd=folder,
        env={**clean, **(environment or {})})


def origins(gate, *arguments):
    return subprocess.run(
        [str(PROGRAM), "origins", *arguments, "--store", gate.store], capture_output=True, text=True, timeout=30)
