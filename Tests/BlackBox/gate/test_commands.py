"""The commands as an operator types them, and what the program leaves in its log."""

import json
import re
import signal
import subprocess
import time
from urllib.parse import urlsplit

import pytest

from support.database import POSTGRES, change
from support.gate import origins, run, running, web
from support.machine import PROGRAM, free_port, until


@pytest.mark.parametrize("command", ["", "serve", "bank", "keys", "keys create", "merchants set", "doctor", "stuck", "bench", "simulate"])
def test_help_teaches(command):
    answer = run(*command.split(), "--help")
    assert answer.returncode == 0 and "OVERVIEW" in answer.stdout


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
        change(gate, "UPDATE waiting SET since = since - 3700000 WHERE kind = 'unknown_payment'")
        code, text = stuck()
        assert code == 1 and f"POST /v1/payments/{payment['id']}/check" in text
        assert "BROKEN   payments in doubt: 2" in doctor()
        change(gate, "UPDATE waiting SET since = since + 3700000 WHERE kind = 'unknown_payment'")
        # Money that the bank reports and no order knows is a case at once.
        gate.bank.faults()
        gate.until_status(doubt, "paid")
        gate.until_status(closing, "closed")
        assert stuck() == (0, "")
        missing = "0" * 26
        # As `docs/reference/order-row.proto` has it: reason, payment, provider, amount, currency, note, opened_at.
        item = b"\x08\x00\x10\x01\x22\x07sandbox\x28\x05\x32\x03CNY\x3a\x04seen\x40\x80\xf8\xb2\xe5\xbd\x68"
        state = (b"\x08\x01\x12" + bytes([len(item)]) + item).hex()
        blob = "x'{}'" if gate.store.startswith("sqlite:") else "'\\x{}'"
        change(gate, "INSERT INTO strays (id, ordinal, opened_at, is_open, state) VALUES "
                   f"({blob.format('00' * 16)}, 1, 1795000000000, 1, {blob.format(state)})")
        code, text = stuck("--json")
        stray = json.loads(text)["data"][0]
        assert code == 1 and stray["id"] == f"cas_{missing}01" and stray["merchant"] is stray["reference"] is None
        assert stray["reason"] == "unknown_payment" and stray["needs_somebody"] and "find-forgotten" in stray["to_do"]
        assert "BROKEN   open cases: 1" in doctor()


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
        assert until(lambda: lines(" info notice", "request=", "evidence=succeeded", f"trade_number={payment['number']}"),
                     what="the notice")
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
