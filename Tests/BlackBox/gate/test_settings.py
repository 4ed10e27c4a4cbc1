"""Settings: what `serve` and `bank` begin with, refuse, or warn of."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

from support.database import POSTGRES
from support.gate import Process, run, running, web
from support.machine import PROGRAM, free_port, until


WRONG = {
    "listen": (["serve", "--listen", "8080"], {}, "--listen must be HOST:PORT"),
    "listen in the environment": (["serve"], {"PAYONCE_LISTEN": "nowhere"}, "PAYONCE_LISTEN must be HOST:PORT"),
    "an option wins over the environment": (
        ["serve", "--listen", "8080"], {"PAYONCE_LISTEN": "nowhere"}, "--listen must be HOST:PORT"),
    "store": (["serve", "--store", "mysql://x"], {}, "--store must be sqlite:FILE"),
    "store in the environment": (["serve"], {"PAYONCE_STORE": "mysql://x"}, "PAYONCE_STORE must be sqlite:FILE"),
    "bank listen": (["serve", "--bank-listen", "x"], {}, "--bank-listen must be HOST:PORT"),
    "bank listen in the environment": (
        ["serve"], {"PAYONCE_BANK_LISTEN": "x"}, "PAYONCE_BANK_LISTEN must be HOST:PORT"),
    "bank in the environment": (["serve"], {"PAYONCE_BANK": "x"}, "PAYONCE_BANK must be an http or https URL"),
    "the bank's own address": (["bank"], {"PAYONCE_LISTEN": "x"}, "PAYONCE_LISTEN must be HOST:PORT"),
    "lanes": (["serve", "--lanes", "65"], {}, "--lanes must be 1 to 64"),
    "time-out on the command line": (["serve", "--call-timeout", "0"], {}, "--call-timeout must be 1 to 120 seconds"),
    "log level in the environment": (["serve"], {"PAYONCE_LOG_LEVEL": "loud"}, "PAYONCE_LOG_LEVEL must be"),
    "a folder that cannot be": (
        ["serve", "--listen", "127.0.0.1:0", "--store", "sqlite:/proc/x/y.db"], {}, "The folder /proc/x cannot be made: No such file or directory."),
    "keys in another folder": (["keys", "create", "--merchant", "tea"], {}, "There is no store here"),
    "a name that is too long": (
        ["keys", "create", "--merchant", "茶" * 81, "--new-store"], {}, "1 to 80 characters long. This one has 81"),
    "a name that turns around": (["keys", "create", "--merchant", "a\u202eb", "--new-store"], {}, "turn the direction"),
    "stuck without a store": (["stuck"], {}, "There is no store"),
    "a store without a file": (["serve", "--store", "sqlite:"], {}, "--store sqlite: needs a file"),
    "a store that cannot be": (["serve", "--listen", "127.0.0.1:0", "--store", "sqlite:/proc/x/y.db"], {}, "cannot be"),
    "public url": (["serve", "--public-url", "pay.example.com"], {}, "must be an http or https URL"),
    "a public url with a path": (["serve", "--public-url", "https://a.example/pay"], {}, "without a path"),
    "a bank that looks near": (["serve", "--bank", "http://127.evil.example"], {}, "Set PAYONCE_BANK_SECRET"),
    "demo": (["serve", "--demo", "yes"], {}, "--demo must be on or off"),
    "sandbox": (["serve", "--sandbox", "1"], {}, "--sandbox must be on or off"),
    "a demo without its bank": (["serve", "--sandbox", "off", "--demo", "on"], {}, "needs the sandbox bank"),
    "time-out": (["serve"], {"PAYONCE_CALL_TIMEOUT": "0"}, "PAYONCE_CALL_TIMEOUT must be 1 to 120 seconds"),
    "log level": (["serve", "--log-level", "loud"], {}, "--log-level must be"),
    "a far bank without a secret": (["serve", "--bank", "http://bank.example"], {}, "Set PAYONCE_BANK_SECRET"),
    "a secret that is none": (
        ["serve", "--bank", "http://bank.example"], {"PAYONCE_BANK_SECRET": "hunter2"}, "PAYONCE_BANK_SECRET must be"),
    "keys for nobody": (["keys", "create"], {}, "Say for whom"),
    "keys for two": (["keys", "create", "--merchant", "a", "--operator", "b"], {}, "Say for whom"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_one_clear_line(name, tmp_path):
    arguments, environment, says = WRONG[name]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # What is wrong with the options is said first, also where nothing can be listened on.
        if arguments[0] == "serve" and "--listen" not in arguments:
            environment = {"PAYONCE_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}", **environment}
        answer = run(*arguments, environment=environment, folder=tmp_path)
    lines = answer.stderr.splitlines()
    assert answer.returncode == 2 and len(lines) == 1 and lines[0].startswith("payonce: ") and says in lines[0], lines
    assert "hunter2" not in answer.stderr and not (tmp_path / "data").exists()
    # The words of a person, not those of a library.
    assert not re.search(r"descriptor:|errno|could not be completed|Error\(|Optional\(", answer.stderr), lines


def test_an_address_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = run("serve", "--listen", address, folder=tmp_path)
        assert answer.returncode == 2 and f"{address} is in use" in answer.stderr
        again = run("serve", environment={"PAYONCE_LISTEN": address}, folder=tmp_path)
    assert again.returncode == 2 and "with PAYONCE_LISTEN." in again.stderr
    for nowhere in ("203.0.113.7:8080", "no-such-host.invalid:8080"):
        answer = run("serve", "--listen", nowhere, folder=tmp_path)
        assert answer.returncode == 2 and f"{nowhere} cannot be listened on" in answer.stderr
        assert not re.search(r"descriptor:|errno|Error", answer.stderr), answer.stderr


def test_where_the_bank_would_be(tmp_path):
    """The server takes the bank's usual address: its own bank goes elsewhere. Both on one are refused."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8090)) == 0:
            pytest.skip("something else listens on 8090")
    server = subprocess.Popen(
        [str(PROGRAM), "serve", "--listen", "127.0.0.1:8090", "--log-level", "error"], cwd=tmp_path,
        stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "listening on http://127.0.0.1:8090\n"
        assert web.get("http://127.0.0.1:8090/readyz").status_code == 200
    finally:
        server.terminate()
        assert server.wait(20) == 0
    address = f"127.0.0.1:{free_port()}"
    answer = run("serve", "--listen", address, "--bank-listen", address, folder=tmp_path)
    assert answer.returncode == 2 and "Choose another port" in answer.stderr


def test_two_at_once_on_one_address(tmp_path):
    """Whoever loses says so and ends; nothing hangs."""
    address = f"127.0.0.1:{free_port()}"
    servers = []
    for name in "ab":
        (tmp_path / name).mkdir()
        servers.append(subprocess.Popen(
            [str(PROGRAM), "serve", "--listen", address, "--bank-listen", "127.0.0.1:0", "--log-level", "error"],
            cwd=tmp_path / name, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    try:
        loser = until(lambda: next((s for s in servers if s.poll() is not None), None), 30, "the end of one of them")
        winner = next(server for server in servers if server is not loser)
        assert loser.returncode == 2 and address in loser.stderr.read()
        assert winner.stdout.readline().startswith("listening on")
    finally:
        for server in servers:
            server.terminate()
        assert {server.wait(20) for server in servers} <= {0, 2}


@pytest.mark.skipif(bool(POSTGRES), reason="is about the embedded store")
def test_two_servers_do_not_share_a_store(tmp_path):
    with running(tmp_path) as gate:
        answer = run("serve", "--listen", "127.0.0.1:0", "--store", gate.store, folder=tmp_path)
        assert answer.returncode == 2 and "in use by another PayOnce server" in answer.stderr
        gate.process.kill()
        gate.start()


def test_what_it_makes_is_its_owners_alone(tmp_path):
    run("keys", "create", "--merchant", "tea", "--new-store", folder=tmp_path)
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert (tmp_path / "data" / "payonce.db").stat().st_mode & 0o077 == 0


def test_settings_of_the_environment(tmp_path):
    made = run("keys", "create", "--new-store", environment={"PAYONCE_MERCHANT": "tea"}, folder=tmp_path)
    assert made.stdout.startswith("sk_") and made.stderr == "payonce: made the store ./data/payonce.db\n"
    made = run("keys", "create", environment={"PAYONCE_OPERATOR": "ann"}, folder=tmp_path)
    assert made.stdout.startswith("op_") and made.stderr == "payonce: the key is in the store ./data/payonce.db\n"
    assert "\ttea\t" in run("keys", "list", folder=tmp_path).stdout


def test_a_store_that_is_named_is_made(tmp_path):
    """And one that nobody named is not: its key would be good for no server."""
    store = f"sqlite:{tmp_path}/new/shop.db"
    made = run("keys", "create", "--merchant", "tea", environment={"PAYONCE_STORE": store}, folder=tmp_path)
    assert made.returncode == 0 and re.fullmatch(r"sk_\w{48}\n", made.stdout) and "made the store" in made.stderr
    made = run("keys", "create", "--merchant", "tea", "--store", store, folder=tmp_path)
    assert made.returncode == 0 and f"in the store {tmp_path}/new/shop.db" in made.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["serve", "keys create --merchant tea", "doctor", "stuck", "bank"])
def test_another_programs_file_is_left_as_it_is(tmp_path, command):
    file = tmp_path / "blog.db"
    with sqlite3.connect(file) as blog:
        blog.execute("CREATE TABLE posts (id INTEGER PRIMARY KEY, text TEXT)")
        blog.execute("INSERT INTO posts (text) VALUES ('hello')")
    blog.close()
    before = file.read_bytes()
    option = ["--books", str(file)] if command == "bank" else ["--store", f"sqlite:{file}"]
    answer = run(*command.split(), *option, environment={"PAYONCE_LISTEN": "127.0.0.1:0"}, folder=tmp_path)
    said = answer.stdout + answer.stderr
    assert answer.returncode != 0 and "belongs to another program" in said and "posts" in said, said
    assert file.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} - {"blog.db.lock"} == {"blog.db"}


def test_the_books_are_no_store_and_the_store_is_no_books(tmp_path):
    with running(tmp_path, store_folder=tmp_path) as gate:
        gate.pay(gate.order())
    for command, option, file in (("serve", "--store", "sqlite:{}/bank.db"), ("bank", "--books", "{}/payonce.db")):
        answer = run(command, "--listen", "127.0.0.1:0", option, file.format(tmp_path), folder=tmp_path)
        assert answer.returncode == 2 and "belongs to another program" in answer.stderr, answer.stderr


def test_a_bank_that_is_not_there_is_warned_of(tmp_path):
    silent = f"http://127.0.0.1:{free_port()}"
    server = Process(
        tmp_path, "serve", ["serve", "--listen", "127.0.0.1:0", "--store", f"sqlite:{tmp_path}/payonce.db", "--bank", silent])
    try:
        server.start("listening on")
        line = until(lambda: [it for it in server.log.read_text().splitlines() if "the bank does not answer" in it])
        assert " warning " in line[0] and silent in line[0]
    finally:
        assert server.kill(signal.SIGTERM) == 0
    (tmp_path / "there").mkdir()
    with running(tmp_path / "there") as gate:
        gate.pay(gate.order())
        assert "does not answer" not in gate.process.log.read_text()


def test_what_is_probably_a_mistake_is_warned_of(tmp_path):
    environment = {"PAYONCE_STOER": "sqlite:./orders.db", "PAYONCE_LISTEN": "0.0.0.0:0"}
    server = Process(tmp_path, "serve", ["serve", "--store", f"sqlite:{tmp_path}/payonce.db", "--sandbox", "off"], environment)
    try:
        server.start("listening on")
        log = server.log.read_text()
    finally:
        assert server.kill(signal.SIGTERM) == 0
    assert re.search(r"warning .*PAYONCE_STOER is in the environment and is no setting", log), log
    assert re.search(r"warning .*buyers are sent to http://0\.0\.0\.0:\d+, which is nobody's address: set --public-url", log), log
    assert "PAYONCE_LISTEN is" not in log and "sqlite:" not in log


def test_alone_with_a_bank_of_its_own(tmp_path):
    """As `make run` starts it: nothing but where to listen; and SIGTERM while a request waits."""
    port = free_port()
    with open(tmp_path / "log", "w") as log:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
        server = subprocess.Popen(
            [str(PROGRAM), "serve", "--listen", f"127.0.0.1:{port}", "--bank-listen", "127.0.0.1:0"],
            cwd=tmp_path, env=clean, stdout=subprocess.PIPE, stderr=log, text=True)
        assert server.stdout.readline() == f"listening on http://127.0.0.1:{port}\n"
        key = run("keys", "create", "--merchant", "tea", folder=tmp_path).stdout.strip()
        url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {key}"}
        assert web.get(url + "/demo").status_code == 200
        order = web.post(url + "/v1/orders", headers=headers, json={
            "reference": "1", "amount": 100, "currency": "CNY"}).json()
        answers = []

        def pay():
            answers.append(web.post(
                f"{url}/v1/orders/{order['id']}/payments", json={"provider": "sandbox", "method": "action"},
                headers={**headers, "Idempotency-Key": "k", "Prefer": "wait=60"}, timeout=70))

        def wait():
            answers.append(web.get(f"{url}/v1/payments/{payment['id']}?wait=60", headers=headers, timeout=70))

        pay()
        payment = answers.pop().json()
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(2)  # the request is on its way; if it were not, it would be refused, and the test would fail
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
        waiting.join()
        assert answers[0].status_code == 200 and answers[0].json()["status"] == "requires_action"
        assert time.monotonic() - began < 40
        assert server.stdout.read() == ""
    assert (tmp_path / "data" / "payonce.db").exists() and (tmp_path / "data" / "bank.db").exists()


def test_without_the_sandbox(tmp_path):
    with running(tmp_path, arguments=("--sandbox", "off")) as gate:
        order = gate.order()
        refused = gate.pay(order)
        assert refused.status_code == 422 and refused.json()["code"] == "provider_not_enabled"
        assert web.get(f"{gate.url}/demo").status_code == 404
        assert "sandbox:" not in web.get(order["checkout_url"]).text
