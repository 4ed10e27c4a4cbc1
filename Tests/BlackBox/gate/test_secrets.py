"""What everybody knows, or everybody could reach, opens nothing: secrets, keys, and what is on by default."""

import base64
import hashlib
import hmac
import json
import re
import socket
import sqlite3
import time

import httpx
import pytest

from support.database import POSTGRES
from support.gate import Bank, Gate, run, running, web
from support.machine import free_port, until

EVERYBODY_KNOWS = "whsec_cGF5b25jZS1zYW5kYm94LWJhbmstZXZlcnlib2R5LWtub3dzLWl0"
MINE = "whsec_" + base64.b64encode(b"sixteen bytes and more of mine").decode()
KEY = "a-key-of-the-bank-0123"


def forged(gate, payment, secret=EVERYBODY_KNOWS):
    """A notice that says that a payment is paid, as somebody with this secret would send it."""
    body = json.dumps({"id": payment["number"], "currency": "CNY", "method": "action", "status": "succeeded",
                       "amount_captured": 1999})
    now = str(int(time.time()))
    code = hmac.new(base64.b64decode(secret[6:]), f"msg_1.{now}.{body}".encode(), hashlib.sha256).digest()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": now,
               "webhook-signature": "v1," + base64.b64encode(code).decode(), "content-type": "application/json"}
    return web.post(f"{gate.url}/providers/sandbox/notices", content=body, headers=headers).status_code


class OwnBank(Gate):
    """A gate with a bank in its own process."""

    def __init__(self, folder, arguments=(), environment=None):
        class Inside:
            url = f"http://127.0.0.1:{free_port()}"
        super().__init__(folder, Inside, arguments=arguments, environment=environment)
        words = self.process.arguments
        at = words.index("--bank")
        words[at:at + 2] = ["--bank-listen", Inside.url.removeprefix("http://")]


@pytest.fixture
def own(tmp_path):
    started = []

    def start(*arguments, environment=None):
        gate = OwnBank(tmp_path, arguments, environment)
        started.append(gate.process)
        return gate.start()

    yield start
    for process in started:
        process.kill()


def test_the_secret_of_its_own_bank_is_nobody_elses(own):
    gate = own()
    payment = gate.pay(gate.order(), method="action").json()
    assert forged(gate, payment) == 401
    # The bank's own notices come home.
    httpx.post(f"{gate.bank.url}/pay/{payment['number']}", data={"action": "pay"})
    order = gate.until_status({"id": payment["order"]}, "paid")
    assert order["payment"]["id"] == payment["id"]


def test_the_default_secret_is_taken_on_this_machine_alone(tmp_path):
    with running(tmp_path) as gate:
        payment = gate.pay(gate.order(), method="action").json()
        assert forged(gate, payment) == 204
    public = ["serve", "--listen", "127.0.0.1:0", "--public-url", "https://pay.example", "--sandbox", "on", "--bank",
              "http://127.0.0.1:1"]
    for arguments, environment in [
        (public, {}), (public, {"PAYONCE_BANK_SECRET": EVERYBODY_KNOWS}),
        ([*public[:2], "0.0.0.0:0", *public[5:]], {}),
    ]:
        answer = run(*arguments, folder=tmp_path, environment=environment)
        assert answer.returncode == 2 and "Set PAYONCE_BANK_SECRET" in answer.stderr, answer


def test_on_a_public_gate_nothing_is_on_that_was_not_asked_for(own):
    gate = own("--public-url", "https://pay.example")
    assert "sandbox bank and the demo are off" in gate.process.log.read_text()
    assert web.get(f"{gate.url}/demo").status_code == 404
    assert gate.pay(gate.order()).json()["code"] == "provider_not_enabled"
    assert web.post(f"{gate.url}/providers/sandbox/notices", content=b"{}").status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{gate.bank.url}/faults")


def test_on_a_public_gate_one_can_ask_for_it(own):
    gate = own("--public-url", "https://pay.example", "--sandbox", "on")
    assert web.get(f"{gate.url}/demo").status_code == 404
    assert gate.pay(gate.order()).json()["status"] == "succeeded"
    assert "everybody can pay everything" in gate.process.log.read_text()
    assert forged(gate, gate.pay(gate.order(), method="action").json()) == 401
    gate.process.kill()
    gate.process.arguments += ["--demo", "on"]
    gate.start()
    assert web.get(f"{gate.url}/demo", headers={"Host": "pay.example"}).status_code == 200
    assert web.get(f"{gate.url}/demo", headers={"Host": "shop.example"}).status_code == 404
    assert "everybody can order" in gate.process.log.read_text()


def test_a_bank_that_nobody_asked_for_is_an_error(tmp_path):
    answer = run("serve", "--listen", "127.0.0.1:0", "--public-url", "https://pay.example", "--bank", "http://127.0.0.1:1",
                 folder=tmp_path)
    assert answer.returncode == 2 and "Say --sandbox on to use it" in answer.stderr


def test_doctor_says_what_everybody_can_do(tmp_path):
    store = ("--store", f"sqlite:{tmp_path}/payonce.db")
    public = ("doctor", *store, "--listen", f"127.0.0.1:{free_port()}", "--public-url", "https://pay.example")
    answer = run(*public, folder=tmp_path)
    assert re.search("^warning .*sandbox bank and the demo are off", answer.stdout, re.M)
    answer = run(*public, "--sandbox", "on", "--demo", "on", folder=tmp_path)
    assert re.search("^warning .*everybody can pay everything", answer.stdout, re.M)
    assert re.search("^warning .*everybody can order", answer.stdout, re.M)
    answer = run(*public, "--sandbox", "on", "--bank", "http://127.0.0.1:1", folder=tmp_path)
    assert answer.returncode == 1 and re.search("^BROKEN .*Set PAYONCE_BANK_SECRET", answer.stdout, re.M)
    answer = run(*public[:-2], folder=tmp_path)
    assert "everybody" not in answer.stdout


def test_a_bank_that_others_reach_needs_a_secret_and_a_key(tmp_path):
    books = ("--books", str(tmp_path / "bank.db"))
    for environment, says in [({}, "Set PAYONCE_BANK_SECRET"), ({"PAYONCE_BANK_SECRET": EVERYBODY_KNOWS}, "Set PAYONCE_BANK_SECRET"),
                              ({"PAYONCE_BANK_SECRET": MINE}, "Set PAYONCE_BANK_KEY"),
                              ({"PAYONCE_BANK_SECRET": MINE, "PAYONCE_BANK_KEY": "short"}, "at least 16")]:
        answer = run("bank", "--listen", "0.0.0.0:0", *books, folder=tmp_path, environment=environment)
        assert answer.returncode == 2 and says in answer.stderr, answer
        assert "short" not in answer.stderr


def test_the_banks_key_opens_its_faults_and_books(tmp_path):
    bank = Bank(tmp_path)
    bank.process.environment |= {"PAYONCE_BANK_SECRET": MINE, "PAYONCE_BANK_KEY": KEY}
    bank.start()
    environment = {"PAYONCE_BANK_SECRET": MINE, "PAYONCE_BANK_KEY": KEY}
    gate = Gate(tmp_path, bank, environment=environment).start()
    try:
        for headers in ({}, {"Authorization": KEY}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": "Bearer"}):
            for method, path in [("GET", "/books"), ("GET", "/faults"), ("PUT", "/faults")]:
                answer = httpx.request(method, bank.url + path, headers=headers, json={"lose_request": 1})
                assert answer.status_code == 401 and answer.json() == {"code": "unauthorized"}
        headers = {"Authorization": f"Bearer {KEY}"}
        assert httpx.get(f"{bank.url}/faults", headers=headers).json()["lose_request"] == 0
        assert httpx.put(f"{bank.url}/faults", headers=headers, json={}).status_code == 200
        assert httpx.get(f"{bank.url}/books", headers=headers).json() == {"charges": [], "refunds": []}
        # What buyers and the gate need, and the demo of a gate that has the key.
        payment = gate.pay(gate.order(), method="action").json()
        assert httpx.get(f"{bank.url}/pay/{payment['number']}").status_code == 200
        assert forged(gate, payment) == 401 and forged(gate, payment, MINE) == 204
        path = web.post(f"{gate.url}/demo/orders", data={"product": "tea"}).headers["location"]
        assert until(lambda: web.get(f"{gate.url}{path}/live").json()["network"]) == "good"
        assert KEY not in gate.process.log.read_text() + bank.process.log.read_text()
    finally:
        gate.process.kill()
        bank.process.kill()


# MARK: Addresses

NO_ADDRESSES = ["https://:80", "https://[::1", "https://", "http://127.0.0.1:99999/x", "http://127.0.0.1:0/", "https:///x",
                "http://127.0.0.1:65536", "ftp://a.example", "http://user:hunter2@a.example", "http://a.example:8o"]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address_gets_in_nowhere(gate, address, tmp_path):
    body = {"reference": "r", "amount": 1, "currency": "CNY", "return_url": address}
    answer = gate.call("POST", "/v1/orders", json=body)
    assert answer.status_code == 400 and [e["field"] for e in answer.json()["errors"]] == ["return_url"]
    charge = {"id": "pay_address", "amount": 1, "currency": "CNY", "method": "ok", "notify_url": address}
    answer = httpx.post(f"{gate.bank.url}/charges", json=charge)
    assert answer.status_code == 400 and answer.json() == {"code": "invalid_charge"}
    answer = httpx.post(f"{gate.bank.url}/charges", json={**charge, "notify_url": None, "expires_at": "tomorrow"})
    assert answer.status_code == 400 and answer.json() == {"code": "invalid_charge"}, "it would never expire"
    for number in ("", "x" * 65):
        answer = httpx.post(f"{gate.bank.url}/charges/{charge['id']}/refunds", json={"id": number, "amount": 1})
        assert answer.status_code == 400 and answer.json() == {"code": "invalid_refund"}, number
    for option in ("--public-url", "--bank"):
        answer = run("serve", "--listen", "127.0.0.1:0", option, address, folder=tmp_path)
        assert answer.returncode == 2 and f"{option} must be an http or https URL" in answer.stderr
        assert "hunter2" not in answer.stderr and len(answer.stderr.splitlines()) == 1
    answer = run("origins", "allow", "--merchant", "shop", address, "--store", gate.store, folder=tmp_path)
    assert answer.returncode == 2


def notices(folder):
    with sqlite3.connect(folder / "bank.db", timeout=10) as books:
        return books.execute("SELECT attempts FROM notices").fetchall()


def test_a_notice_counts_as_tried_before_it_is_sent(tmp_path):
    """What sending it does to the bank does not meet it again at every start."""
    bank = Bank(tmp_path).start()
    try:
        with socket.create_server(("127.0.0.1", 0)) as shop:
            shop.settimeout(20)
            charge = {"id": "pay_tried", "amount": 1, "currency": "CNY", "method": "ok",
                      "notify_url": f"http://127.0.0.1:{shop.getsockname()[1]}/notices"}
            assert httpx.post(f"{bank.url}/charges", json=charge).status_code == 200
            connection, _ = shop.accept()
            assert connection.recv(4) == b"POST"
            bank.process.kill()
            connection.close()
        assert notices(tmp_path) == [(1,)]
    finally:
        bank.process.kill()


def test_an_address_that_an_earlier_release_took_is_given_up(tmp_path):
    bank = Bank(tmp_path).start()
    bank.process.kill()
    with sqlite3.connect(tmp_path / "bank.db") as books:
        # For such a port the network stack stops the program.
        books.execute("INSERT INTO notices VALUES ('msg_1', 'http://127.0.0.1:99999/', '{}', 0, 0)")
    try:
        bank.start()
        until(lambda: not notices(tmp_path), what="the end of the notice")
        assert bank.books() == {"charges": [], "refunds": []} and bank.process.process.poll() is None
    finally:
        bank.process.kill()


@pytest.mark.skipif(bool(POSTGRES), reason="no server is asked")
@pytest.mark.parametrize("address", [
    "postgresql+psycopg://me:hunter2@db/orders", "Postgres://me:hunter2@db/orders", "host=db password=hunter2", "hunter2",
    "me:hunter2@db", "postgres:/me:hunter2@db/x", "postgres://me:hunter2%zz@db/orders", "postgres://me:hunter2@[::1",
    "postgres://me:hunter2@db:99999999999/orders?sslmode=disable", "postgres://me:hun/hunter2@db/orders?sslmode=disable",
    "postgres://me:hun@hunter2@127.0.0.1:1/orders", "postgres://me:hun/hunter2@127.0.0.1/orders",
    "postgres://me:hunter2@db/orders?hunter2=1", "postgres://me:hunter2@db/orders", "postgres://me:hunter2@127.0.0.1:1/x",
    "postgresql://me:hunter2/hunter2:5432/x?sslmode=disable", "postgres://me:@hunter2@127.0.0.1:1/x",
])
@pytest.mark.parametrize("command", [
    ("serve", "--listen", "127.0.0.1:0", "--store"), ("keys", "list", "--store"), ("doctor", "--store"),
    ("copy-store", "--to", "postgres://127.0.0.1:1/x", "--from"), ("copy-store", "--from", "sqlite:none.db", "--to"),
])
def test_the_password_of_a_store_is_not_told(command, address, tmp_path):
    answer = run(*command, address, folder=tmp_path)
    assert answer.returncode in (1, 2) and len((answer.stderr + answer.stdout).strip()) > 20
    assert "hunter2" not in answer.stdout + answer.stderr, answer.stdout + answer.stderr


@pytest.mark.skipif(bool(POSTGRES), reason="no server is asked")
@pytest.mark.parametrize("stray", [
    ["postgres://me:hunter2@db/orders"], ["--stroe", "postgres://me:hunter2@db/orders"],
    ["--stroe=postgres://me:hunter2@db/orders"], ["host=db password=hunter2"],
])
def test_nor_where_it_is_no_store(stray, tmp_path):
    answer = run("keys", "list", *stray, folder=tmp_path)
    assert answer.returncode == 64 and "keys list" in answer.stderr
    assert "hunter2" not in answer.stdout + answer.stderr, answer.stderr
