"""The commands as an operator types them, and what the program leaves in its log."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from contextlib import closing as closing_connection
from urllib.parse import urlsplit

import pytest

from conftest import POSTGRES, PROGRAM, Process, ask, free_port, origins, running, until, web


def run(*arguments, environment=None, folder=None, seconds=30):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
    return subprocess.run(
        [str(PROGRAM), *arguments], capture_output=True, text=True, timeout=seconds, cwd=folder,
        env={**clean, **(environment or {})})


@pytest.mark.parametrize("command", ["", "serve", "bank", "keys", "keys create", "merchants set", "doctor", "stuck", "bench", "simulate"])
def test_help_teaches(command):
    answer = run(*command.split(), "--help")
    assert answer.returncode == 0 and "OVERVIEW" in answer.stdout


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


def test_keys_are_not_looked_for_in_a_store_that_is_not_there(tmp_path):
    for arguments in (["list"], ["revoke", "sk_0000000000000000"]):
        answer = run("keys", *arguments, folder=tmp_path)
        assert answer.returncode == 2 and "There is no store" in answer.stderr
    assert not (tmp_path / "data").exists()


def test_the_end_does_not_wait_for_a_silent_bank(tmp_path):
    with running(tmp_path) as gate:
        gate.pay(gate.order(), method="lost", wait=0)
        began = time.monotonic()
        assert gate.process.kill(signal.SIGTERM) == 0
        assert gate.bank.process.kill(signal.SIGTERM) == 0
        assert time.monotonic() - began < 25


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


def test_merchants_have_a_name_for_buyers(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()

        def set_name(name, merchant="shop"):
            return run("merchants", "set", "--merchant", merchant, "--display-name", name, "--store", gate.store)

        assert web.get(order["checkout_url"] + "/status").json()["shop"] == "shop"
        name = "Little Tea Shop 小茶铺"
        assert set_name(name).returncode == 0
        assert web.get(order["checkout_url"] + "/status").json()["shop"] == name
        assert name in web.get(order["checkout_url"]).text
        assert run("merchants", "list", "--store", gate.store).stdout.splitlines()[-1].split("\t")[-2] == name
        for wrong in ("x" * 81, "a\u202eb", "a\nb", "\u0007"):
            refused = set_name(wrong)
            assert refused.returncode == 2 and refused.stderr.startswith("payonce: A name"), refused.stderr
        assert set_name("茶" * 80).returncode == 0
        assert set_name("x", merchant="nobody").returncode == 2
        assert "\tshop\t" in run("keys", "list", "--store", gate.store).stdout, "it is found by its own name"
        assert set_name("").returncode == 0
        assert web.get(order["checkout_url"] + "/status").json()["shop"] == "shop"


def test_merchants_have_a_mark(tmp_path):
    with running(tmp_path) as gate:
        url = gate.order()["checkout_url"]

        def set_mark(file):
            return run("merchants", "set", "--merchant", "shop", "--mark", str(file), "--store", gate.store)

        assert web.get(url + "/mark").status_code == 404
        assert 'id="mark"' not in web.get(url).text
        png = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 255
        (tmp_path / "mark.png").write_bytes(png)
        assert "with its mark" in set_mark(tmp_path / "mark.png").stdout
        assert f'<img id="mark" src="{urlsplit(url).path}/mark" alt="">' in web.get(url).text
        shown = web.get(url + "/mark")
        assert shown.content == png and shown.headers["content-type"] == "image/png"
        assert shown.headers["x-content-type-options"] == "nosniff"
        again = web.get(url + "/mark", headers={"If-None-Match": shown.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        (tmp_path / "script.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
        (tmp_path / "large.png").write_bytes(png + png)
        for wrong in ("script.svg", "large.png", "none.png", "."):
            refused = set_mark(tmp_path / wrong)
            assert refused.returncode == 2 and wrong in refused.stderr and "Error" not in refused.stderr, refused.stderr
        assert web.get(url + "/mark").content == png, "what is refused changes nothing"
        assert run("merchants", "set", "--merchant", "shop", "--store", gate.store).returncode == 64
        assert set_mark("").returncode == 0
        assert web.get(url + "/mark").status_code == 404


def test_what_waits_for_somebody(tmp_path):
    """`stuck` and `doctor` name it, and say by their exit codes whether somebody is needed."""
    with running(tmp_path) as gate:

        def stuck(*options):
            answer = run("stuck", "--store", gate.store, *options, folder=tmp_path)
            return answer.returncode, answer.stdout

        def doctor():
            options = ["--store", gate.store, "--listen", f"127.0.0.1:{gate.port}", "--bank", gate.bank.url]
            return run("doctor", *options, folder=tmp_path).stdout

        assert stuck() == (0, "") and json.loads(stuck("--json")[1]) == {"data": []}
        assert "ok       waiting: nothing" in doctor()
        # The bank took the money of one, and says nothing of it; another one is being closed.
        doubt, closing = gate.order(reference="A-1001"), gate.order()
        gate.bank.faults(seed=1, lose_response=1, lose_notice=1)
        payment = gate.pay(doubt, wait=0).json()
        gate.pay(closing, method="action", wait=0)
        until(lambda: gate.now(doubt)["payment"]["unknown_since"] and gate.now(closing)["payment"]["unknown_since"], 30)
        assert gate.call("POST", f"/v1/orders/{closing['id']}/close", headers={"Prefer": "wait=0"}).status_code == 202
        code, text = stuck("--json")
        found = {(it["what"], it["order"]): it for it in json.loads(text)["data"]}
        assert code == 0, "it is asked about by itself"
        one = found["unknown_payment", doubt["id"]]
        assert (one["id"], one["merchant"], one["reference"], one["provider"], one["needs_somebody"]) == (
            payment["id"], "shop", "A-1001", "sandbox", False)
        assert ("closing_order", closing["id"]) in found
        assert "warning  payments in doubt: 2" in doctor() and "warning  closing orders: 1" in doctor()
        lines = [line.split("\t") for line in stuck()[1].splitlines()]
        assert all(len(line) == 8 for line in lines) and payment["id"] in {line[2] for line in lines}
        # Some time later nobody has said anything.
        tell(gate, f"UPDATE payments SET unknown_since = unknown_since - 3700000 WHERE order_id = '{doubt['id']}'")
        code, text = stuck()
        assert code == 1 and f"POST /v1/payments/{payment['id']}/check" in text
        assert "BROKEN   payments in doubt: 2" in doctor()
        # Money that the bank reports and no order knows is a case at once.
        gate.bank.faults()
        gate.until_status(doubt, "paid")
        gate.until_status(closing, "closed")
        assert stuck() == (0, "")
        missing = "0" * 26
        tell(gate, "INSERT INTO cases (order_id, ordinal, reason, payment, provider, amount, currency, note, opened_at)"
                   f" VALUES ('ord_{missing}', 1, 'unknown_payment', 1, 'sandbox', 5, 'CNY', 'seen', 1795000000000)")
        code, text = stuck("--json")
        stray = json.loads(text)["data"][0]
        assert code == 1 and stray["id"] == f"cas_{missing}01" and stray["merchant"] is stray["reference"] is None
        assert stray["reason"] == "unknown_payment" and stray["needs_somebody"] and "find-forgotten" in stray["to_do"]
        assert "BROKEN   open cases: 1" in doctor()


def tell(gate, sql):
    """What a test cannot wait for, written beside the running server."""
    if gate.store.startswith("sqlite:"):
        with closing_connection(sqlite3.connect(gate.store.removeprefix("sqlite:"), timeout=20)) as store, store:
            store.execute(sql)
    else:
        ask(sql, gate.store)


def test_doctor_sees_another_store(tmp_path):
    """A key made here would be good for nothing there."""
    with running(tmp_path) as gate:
        assert re.fullmatch("[0-9a-f]{16}", web.get(gate.url + "/readyz").json()["store"])
        for store in ([], ["--store", f"sqlite:{tmp_path}/other.db"]):
            answer = run("doctor", "--listen", f"127.0.0.1:{gate.port}", *store, folder=tmp_path)
            assert answer.returncode == 1 and "BROKEN   server: ready on" in answer.stdout, answer.stdout
            assert "with another store" in answer.stdout
            run("keys", "create", "--merchant", "tea", "--store", f"sqlite:{tmp_path}/other.db", folder=tmp_path)
        answer = run("doctor", "--listen", f"127.0.0.1:{gate.port}", "--store", gate.store, folder=tmp_path)
        assert "ok       server: ready on" in answer.stdout


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


def test_the_binary_runs_alone_from_any_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "payonce"
    copy.write_bytes(PROGRAM.read_bytes())
    copy.chmod(0o755)
    server = subprocess.Popen(
        [str(copy), "serve", "--listen", "127.0.0.1:0", "--bank-listen", "127.0.0.1:0", "--log-level", "error"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().split()[-1]
        for path in ["/demo", "/checkout.css", "/checkout.js", "/openapi.json", "/healthz", "/readyz"]:
            assert web.get(url + path).status_code == 200
    finally:
        server.terminate()
        assert server.wait(20) == 0


def test_without_the_sandbox(tmp_path):
    with running(tmp_path, arguments=("--sandbox", "off")) as gate:
        order = gate.order()
        refused = gate.pay(order)
        assert refused.status_code == 422 and refused.json()["code"] == "provider_not_enabled"
        assert web.get(f"{gate.url}/demo").status_code == 404
        assert "sandbox:" not in web.get(order["checkout_url"]).text


def test_the_log_names_what_it_is_about_and_no_secret(tmp_path):
    with running(tmp_path, log_level="debug") as gate:
        order = gate.order()
        token = order["checkout_url"].rsplit("/", 1)[1]
        payment = gate.pay(order, key="secret-looking-key").json()
        gate.bank.faults(seed=1, lose_response=1)
        refund = gate.call(
            "POST", f"/v1/payments/{payment['id']}/refunds", json={"amount": 100},
            headers={"Idempotency-Key": "another-key", "X-Request-Id": "my-own-id", "Prefer": "wait=3"}).json()
        gate.bank.faults()
        web.get(order["checkout_url"])
        # Every way in which a token is part of a request, also where the answer is no.
        for path in ("/status", "/status?wait=x", f"/payments/{payment['id']}/code.svg", "/nothing"):
            web.get(order["checkout_url"] + path, headers={"Origin": "https://shop.example"})
        for path in ("/payments", f"/payments/{payment['id']}/close", "/status"):
            web.post(order["checkout_url"] + path, json={}, headers={"Origin": "https://shop.example"})
            web.post(order["checkout_url"] + path, data={"method": "sandbox:ok", "idempotency_key": "another-key"})
        web.get(order["checkout_url"][:-1])
        gate.get(f"/v1/refunds/{refund['id']}")

        def lines(*words):
            return [line for line in gate.process.log.read_text().splitlines() if all(word in line for word in words)]

        names = f"order={order['id']}", f"payment={payment['id']}"
        assert lines(" info POST /v1/orders/{id}/payments", "request=", "status=201", "ms=", *names)
        assert lines(" info POST /v1/payments/{id}/refunds", "request=my-own-id", f"refund={refund['id']}")
        assert lines(" info GET /checkout/{token}", f"order={order['id']}")
        assert lines(" debug provider call", "evidence=", *names)
        assert until(lambda: lines(" info notice", "request=", "evidence=succeeded", *names), what="the notice")
        # Doubt is not hidden among the details.
        assert until(lambda: lines(" info provider call", f"refund={refund['id']}", "unknown"), what="the doubt")
        log = gate.process.log.read_text() + gate.bank.process.log.read_text()
        for secret in (gate.key, token[:-1], "secret-looking-key", "another-key", "whsec_"):
            assert secret not in log


def test_a_seed_is_the_same_world_again():
    first, again, other = (run("simulate", "--seed", seed, seconds=120) for seed in ("11", "11", "12"))
    assert first.returncode == again.returncode == other.returncode == 0
    # All but how long it took.
    assert first.stdout.splitlines()[1:] == again.stdout.splitlines()[1:] != other.stdout.splitlines()[1:]
    assert first.stdout.splitlines()[-1] == "no invariant broke"
    assert run("simulate", "--seeds", "0").returncode == 2


@pytest.mark.skipif(bool(POSTGRES), reason="is about the embedded store")
def test_doctor(tmp_path):
    answer = run("doctor", "--listen", f"127.0.0.1:{free_port()}", folder=tmp_path)
    assert answer.returncode == 0 and "does not exist yet" in answer.stdout
    with running(tmp_path) as gate:
        options = ["--store", gate.store, "--listen", f"127.0.0.1:{gate.port}", "--bank", gate.bank.url]
        # It gives everything a limited time, which a machine that stands still may use up.
        answer = until(lambda: (it := run("doctor", *options, folder=tmp_path)).returncode == 0 and it, 60, "a healthy house")
        assert "BROKEN" not in answer.stdout and "server: ready" in answer.stdout
        gate.bank.process.kill()
        answer = run("doctor", *options, folder=tmp_path)
        assert answer.returncode == 1 and "BROKEN   bank: nothing answers" in answer.stdout
    broken = tmp_path / "broken.db"
    broken.write_text("this is not a database, and long enough to be read as one" * 100)
    answer = run("doctor", "--store", f"sqlite:{broken}", folder=tmp_path)
    assert answer.returncode == 1 and "BROKEN   store" in answer.stdout


def test_origins_are_exact_and_work_at_once(tmp_path):
    with running(tmp_path) as gate:
        order = gate.order()

        def is_allowed(origin):
            answer = web.get(order["checkout_url"] + "/status", headers={"Origin": origin})
            return answer.headers.get("access-control-allow-origin") == origin

        for wrong in ("shop.example", "ftp://shop.example", "https://*.shop.example", "https://shop.example/pay", "null",
                      "https://shop.example?x", "https://a@shop.example", "https://shop.example; script-src *"):
            refused = origins(gate, "allow", "--merchant", "shop", wrong)
            assert refused.returncode != 0 and "such as https://shop.example" in refused.stderr
        assert "no merchant" in origins(gate, "allow", "--merchant", "nobody", "https://shop.example").stderr
        assert origins(gate, "allow", "--merchant", "shop", "HTTPS://Shop.example:443/").returncode == 0
        assert origins(gate, "allow", "--merchant", "shop", "https://shop.example").returncode == 0
        assert origins(gate, "list").stdout == "shop\thttps://shop.example\n"
        assert is_allowed("https://shop.example") and not is_allowed("https://shop.example.evil.example")
        assert origins(gate, "remove", "--merchant", "shop", "https://shop.example").returncode == 0
        assert not is_allowed("https://shop.example")
        assert "not allowed" in origins(gate, "remove", "--merchant", "shop", "https://shop.example").stderr
